"""Our GGUF reader against the gguf package, bit for bit, and against damaged files."""

import random
import struct

import gguf
import numpy as np
import pytest
import torch
from gguf.constants import GGMLQuantizationType as Kind
from gguf.constants import GGUFValueType

from minillm.weights.gguf import GGUF
from minillm.weights.gguf_blocks import ENCODINGS

QUANTISED = [Kind.F32, Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q4_0, Kind.Q4_1]


def weights(rows: int = 6, columns: int = 64) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)
    values[0] = 0.0  # a block of equal numbers has scale 0
    return values


def write(path, kinds=QUANTISED) -> dict[str, np.ndarray]:
    """A file with one tensor of each kind and metadata of each type; what the oracle decodes."""
    writer = gguf.GGUFWriter(path, "toy")
    writer.add_array("words", ["Ġthe", "né", ""])
    writer.add_array("numbers", [1, 2, 3])
    writer.add_float32("eps", 1e-5)
    writer.add_bool("flag", True)
    writer.add_uint64("large", 1 << 40)
    writer.add_int8("small", -3)
    writer.add_key_value("double", 0.1, GGUFValueType.FLOAT64)
    decoded = {}
    for kind in kinds:
        data = gguf.quantize(weights(), kind)
        writer.add_tensor(f"w.{kind.name}", data, raw_dtype=kind)
        decoded[f"w.{kind.name}"] = gguf.dequantize(data, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return decoded


@pytest.fixture
def path(tmp_path):
    return tmp_path / "toy.gguf"


def test_every_encoding_equals_the_package_bit_for_bit(path):
    decoded = write(path)
    file = GGUF(path)
    assert set(file) == set(decoded)
    assert len(file) == len(QUANTISED)
    for name, expected in decoded.items():
        assert file[name].dtype == torch.float32
        assert np.array_equal(file[name].numpy().view(np.uint32), expected.view(np.uint32)), name


@pytest.mark.parametrize("kind", [Kind.Q8_0, Kind.Q4_0, Kind.Q4_1])
def test_arbitrary_bytes_decode_as_in_the_package(kind):
    encoding = ENCODINGS[int(kind)]
    blocks = np.random.default_rng(1).integers(0, 256, (500, encoding.size), dtype=np.uint8)
    blocks[:, [1, 3]] &= 0x3B  # keep the 16-bit floats finite
    expected = gguf.dequantize(blocks, kind)
    ours = encoding.decode(torch.from_numpy(blocks)).numpy()
    assert np.array_equal(ours.view(np.uint32), expected.view(np.uint32))


def test_metadata_of_every_type(path):
    write(path)
    metadata = GGUF(path).metadata
    assert metadata["general.architecture"] == "toy"
    assert metadata["words"] == ["Ġthe", "né", ""]
    assert metadata["numbers"] == [1, 2, 3]
    assert metadata["eps"] == 1e-5, "the shortest decimal of the 32-bit number"
    assert metadata["flag"] is True
    assert metadata["large"] == 1 << 40
    assert metadata["small"] == -3
    assert metadata["double"] == 0.1


def test_a_tensor_is_a_copy(path):
    write(path)
    file, before = GGUF(path), path.read_bytes()
    for name in file:
        file[name].fill_(7.0)
        assert not (file[name] == 7.0).any()
    del file
    assert path.read_bytes() == before


def test_info_names_shape_and_encoding(path):
    write(path)
    info = GGUF(path).infos["w.Q4_1"]
    assert info.shape == (6, 64)
    assert info.encoding.name == "Q4_1"
    assert info.nbytes == 6 * 64 // 32 * 20


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def header(tensors: int = 0, pairs: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs)


def info(name="x", shape=(32,), kind=0, offset=0, axes=None) -> bytes:
    count = len(shape) if axes is None else axes
    return string(name) + struct.pack(f"<I{len(shape)}QIQ", count, *shape, kind, offset)


DATA = b"\0" * 1024
ONE = header(1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "byte 4 is needed, the file has 0"),
        (b"GGML" + DATA, "letters GGUF"),
        (header(version=1), "version 1"),
        (header(version=1 << 24), "version 16777216"),
        (header(1 << 60, 0), "is needed"),
        (header(0, 1 << 60), "is needed"),
        (header(0, 1) + string("k") + struct.pack("<I", 99), "unknown type of metadata: 99"),
        (header(0, 1) + string("k") + struct.pack("<IIQ", 9, 9, 1), "unknown type 9"),
        (header(0, 1) + string("k") + struct.pack("<IIQ", 9, 8, 1 << 60), "is needed"),
        (header(0, 1) + string("k") + struct.pack("<IIQ", 9, 4, 1 << 60), "is needed"),
        (header(0, 1) + struct.pack("<Q", 1 << 63), "is needed"),
        (header(0, 1) + struct.pack("<Q", 1) + b"\xff" + DATA, "utf-8"),
        (header(0, 2) + 2 * (string("k") + struct.pack("<IB", 0, 1)), "occurs twice"),
        (
            header(0, 1) + string("general.alignment") + struct.pack("<II", 4, 0) + DATA,
            "general.alignment is 0",
        ),
        (header(2) + info() + info() + DATA, "'x' occurs twice"),
        (ONE + info(axes=9) + DATA, "has 9 axes"),
        (ONE + info(axes=0) + DATA, "has 0 axes"),
        (ONE + info(kind=14) + DATA, "encoding 14; known are F32"),
        (ONE + info(shape=(0,)) + DATA, "does not fit"),
        (ONE + info(shape=(33,), kind=3) + DATA, "blocks of 32"),
        (ONE + info(offset=32) + DATA, "begins at byte 32 of the numbers, not at 0"),
        (ONE + info(shape=(1 << 40, 1 << 40)) + DATA, "the file has"),
        (header(2) + info() + info("y", offset=64) + DATA, "begins at byte 64"),
        (ONE + info(shape=(300,)), "need 1200 bytes"),
    ],
)
def test_a_wrong_file_is_refused(path, data, message):
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"toy.gguf is not a sound GGUF file: .*{message}"):
        GGUF(path)


def test_every_truncation_is_refused(path):
    write(path)
    data = path.read_bytes()
    for length in (*range(0, len(data) - 600, 3), *range(len(data) - 600, len(data) - 64, 17)):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match="not a sound"):
            GGUF(path)


def test_flipped_bytes_raise_value_errors_or_read_in_bounds(path):
    write(path)
    data, chance, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(500):
        broken = bytearray(data)
        for _ in range(chance.choice((1, 1, 4))):
            broken[chance.randrange(700)] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        try:
            file = GGUF(path)
            total = sum(file[name].numel() for name in file)
        except ValueError:
            refused += 1
        else:
            assert total <= 8 * len(data)
    assert refused > 200
