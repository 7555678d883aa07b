"""Our reader and writer of safetensors against the library, and against damaged files."""

import json
import random

import pytest
import torch
from safetensors.torch import load_file, save_file

from minillm.weights.safetensors import read_safetensors, write_safetensors

TENSORS = {
    "float": torch.randn(3, 5),
    "double": torch.randn(2, dtype=torch.float64),
    "half": torch.randn(7).half(),
    "bfloat": torch.randn(2, 2, 1).bfloat16(),
    "long": torch.arange(-3, 3),
    "int": torch.arange(4, dtype=torch.int32),
    "short": torch.arange(4, dtype=torch.int16),
    "byte": torch.arange(3, dtype=torch.uint8),
    "signed": torch.tensor([-1, 1], dtype=torch.int8),
    "flag": torch.tensor([True, False, True]),
    "scalar": torch.tensor(2.5),
    "nothing": torch.empty(0, 4),
}


def same(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert tensor.dtype == b[name].dtype
        assert torch.equal(tensor, b[name]), name


def test_reads_what_the_library_writes(tmp_path):
    save_file(TENSORS, tmp_path / "a.safetensors", metadata={"format": "pt"})
    same(read_safetensors(tmp_path / "a.safetensors"), TENSORS)


def test_the_library_reads_what_we_write(tmp_path):
    write_safetensors(tmp_path / "a.safetensors", TENSORS)
    same(load_file(tmp_path / "a.safetensors"), TENSORS)
    same(read_safetensors(tmp_path / "a.safetensors"), TENSORS)


def test_numbers_lie_on_their_border_after_an_odd_tensor(tmp_path):
    write_safetensors(tmp_path / "a", {"a": TENSORS["byte"], "b": TENSORS["double"]})
    header = (tmp_path / "a").read_bytes()
    entries = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])
    assert entries["b"]["data_offsets"] == [0, 16]


def test_writer_refuses_complex_numbers(tmp_path):
    with pytest.raises(ValueError, match=r"x: .*complex64"):
        write_safetensors(tmp_path / "a", {"x": torch.zeros(1, dtype=torch.complex64)})


def test_transposed_tensors_are_written_in_order(tmp_path):
    matrix = torch.arange(6.0).view(2, 3).mT
    write_safetensors(tmp_path / "a", {"x": matrix})
    assert torch.equal(read_safetensors(tmp_path / "a")["x"], matrix)


def file(tmp_path, header: object, data: bytes = b"\0" * 8):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = tmp_path / "bad.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(**changes: object) -> dict:
    return {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (entry(dtype="F8_E4M3"), "known are"),
        (entry(dtype=["F32"]), "known are"),
        (entry(shape=[3]), "needs 12 bytes but has 8"),
        (entry(shape=[2.0]), "shape"),
        (entry(shape=[True, 2]), "shape"),
        (entry(shape=[-1, -2]), "shape"),
        (entry(shape=2), "shape"),
        (entry(data_offsets=[8, 0]), "needs 8 bytes but has -8"),
        (entry(data_offsets=[0]), "data_offsets"),
        (entry(data_offsets=[4, 12]), "begins at byte 4"),
        (entry(data_offsets=[0, 16], shape=[4]), "describes 16 bytes"),
        (entry(data_offsets=[0, 4], shape=[1]), "describes 4 bytes"),
        (entry() | {"y": entry()["x"]}, "begins at byte 0"),
        ({"x": {"dtype": "F32"}}, "lacks"),
        ({"x": 3}, "lacks"),
        ([], "not a JSON object"),
        (b'{"x": 1, "x": 2}', "twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff\xfe\xff", "not a sound"),
        (b"{", "not a sound"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path, header, message):
    with pytest.raises(ValueError, match=f"not a sound safetensors file: .*{message}|{message}"):
        read_safetensors(file(tmp_path, header))


def test_lengths_beyond_the_file(tmp_path):
    path = tmp_path / "short"
    for data in (b"", b"\0" * 7, (1 << 62).to_bytes(8, "little") + b"{}"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f"the file has {len(data)}"):
            read_safetensors(path)


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"x": torch.randn(4), "y": torch.randn(2, 2)})
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match="not a sound"):
            read_safetensors(path)
    path.write_bytes(data + b"\0")
    with pytest.raises(ValueError, match="not a sound"):
        read_safetensors(path)


def test_flipped_bytes_raise_value_errors_or_leave_other_tensors_alone(tmp_path):
    path, chance = tmp_path / "a.safetensors", random.Random(0)
    tensors = {"x": torch.randn(4), "y": torch.randn(2, 2)}
    write_safetensors(path, tensors)
    data, refused = path.read_bytes(), 0
    start = 8 + int.from_bytes(data[:8], "little")
    for _ in range(600):
        broken, place = bytearray(data), chance.randrange(len(data))
        broken[place] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        try:
            read = read_safetensors(path)
        except ValueError:
            refused += 1
            continue
        # A header that still fits is a renamed tensor or another type of the same width.
        changed = [n for n in tensors if n not in read or not torch.equal(read[n], tensors[n])]
        assert len(changed) <= 1 or place < start
        assert sum(t.nbytes for t in read.values()) == 32
    assert refused > 250
