"""Checkpoints of transformers, every parameter randomised, compute the same when we load them."""

import json
import random

import pytest
import safetensors.torch
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from minillm import CausalLM, MaskedLM, Seq2Seq, Transformer
from minillm.weights.load import load
from minillm.weights.safetensors import read_safetensors, write_safetensors
from tests.conftest import randomise

TOKENS = torch.tensor([[5, 9, 2, 33, 60, 1, 0, 8], [7, 7, 3, 96, 12, 40, 41, 42]])
MASK = torch.tensor([[True] * 8, [True] * 5 + [False] * 3])
SEGMENTS = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 0, 0, 0]])
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}


def gpt2(**changes: object) -> transformers.PreTrainedModel:
    config = transformers.GPT2Config(
        vocab_size=97, n_positions=64, n_embd=48, n_layer=3, n_head=6, n_inner=80, **changes
    )
    return transformers.GPT2LMHeadModel(config)


def llama(**changes: object) -> transformers.PreTrainedModel:
    sizes = {
        "vocab_size": 97,
        "max_position_embeddings": 64,
        "hidden_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 6,
        "intermediate_size": 80,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
        "rms_norm_eps": 1e-3,
    }
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes | changes))


def bert(kind: type = transformers.BertForMaskedLM, **changes: object):
    config = transformers.BertConfig(
        vocab_size=97,
        max_position_embeddings=64,
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=6,
        intermediate_size=80,
        layer_norm_eps=1e-3,
        **changes,
    )
    return kind(config)


def bart(kind: type = transformers.BartForConditionalGeneration, **changes: object):
    config = transformers.BartConfig(
        vocab_size=97,
        max_position_embeddings=64,
        d_model=48,
        encoder_layers=3,
        decoder_layers=3,
        encoder_attention_heads=6,
        decoder_attention_heads=6,
        encoder_ffn_dim=80,
        decoder_ffn_dim=80,
        **changes,
    )
    return kind(config)


CAUSAL = {
    "gpt2": gpt2,
    "gpt2-untied": lambda: gpt2(tie_word_embeddings=False),
    "gpt2-gelu": lambda: gpt2(activation_function="gelu", layer_norm_epsilon=1e-2),
    "llama": llama,
    "llama-gqa": lambda: llama(num_key_value_heads=2),
    "llama-mqa": lambda: llama(num_key_value_heads=1),
    "llama-tied": lambda: llama(tie_word_embeddings=True),
    "llama-mqa-tied": lambda: llama(num_key_value_heads=1, tie_word_embeddings=True),
}


@pytest.fixture(params=TOLERANCE, ids=str)
def dtype(request):
    return request.param


def saved(model: transformers.PreTrainedModel, folder, dtype=torch.float32):
    """The model with random parameters, saved; dropout never counts, it is in evaluation mode."""
    randomise(model.to(dtype)).save_pretrained(folder)
    return model


def exact_rms_norm(self, x: torch.Tensor) -> torch.Tensor:
    """Llama's norm in the type of x; the library's own drops to float32 whatever the type."""
    scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + self.variance_epsilon)
    return self.weight * (x * scale)


@pytest.mark.parametrize("name", CAUSAL)
def test_causal_logits(tmp_path, dtype, name, monkeypatch):
    if dtype == torch.float64:
        norm = transformers.models.llama.modeling_llama.LlamaRMSNorm
        monkeypatch.setattr(norm, "forward", exact_rms_norm)
    theirs = saved(CAUSAL[name](), tmp_path, dtype)
    ours = load(tmp_path, dtype=dtype)
    assert isinstance(ours.model, CausalLM)
    assert not ours.model.training
    assert ours.tokenizer is None
    with torch.no_grad():
        expected = theirs(TOKENS).logits
        torch.testing.assert_close(ours.model(TOKENS), expected, rtol=0, atol=TOLERANCE[dtype])
    assert expected.std() > 0.1


@pytest.mark.parametrize("name", CAUSAL)
@torch.no_grad()
def test_causal_logits_with_padding_on_the_left(tmp_path, name):
    theirs = saved(CAUSAL[name](), tmp_path)
    mask = MASK.flip(1)
    places = (mask.long().cumsum(-1) - 1).clamp(min=0)
    expected = theirs(TOKENS, attention_mask=mask.long(), position_ids=places).logits
    got = load(tmp_path).model(TOKENS, mask=mask)
    torch.testing.assert_close(got[mask], expected[mask], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_causal_logits_through_the_cache_in_random_chunks(tmp_path, name, seed):
    theirs = saved(CAUSAL[name](), tmp_path)
    ours, chance = load(tmp_path).model, random.Random(seed)
    tokens = torch.randint(97, (2, 40), generator=torch.Generator().manual_seed(seed))
    state, parts = ours.new_state(2, 40), []
    while (read := len(state)) < 40:
        parts.append(ours(tokens[:, read : read + chance.choice((1, 1, 2, 7, 12))], state=state))
    expected = theirs(tokens).logits
    torch.testing.assert_close(torch.cat(parts, 1), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["BartForConditionalGeneration", "BartModel"])
def test_seq2seq_logits(tmp_path, dtype, kind):
    theirs = saved(bart(getattr(transformers, kind)), tmp_path, dtype)
    ours = load(tmp_path, dtype=dtype)
    assert isinstance(ours.model, Seq2Seq)
    words = ours.model.encoder.embedding.token.weight
    assert ours.model.lm_head.weight is words
    assert ours.model.decoder.embedding.token.weight is words
    target, atol = TOKENS.flip(1)[:, :6], TOLERANCE[dtype]
    with torch.no_grad():
        expected = theirs(TOKENS, attention_mask=MASK.long(), decoder_input_ids=target)
        logits = ours.model(TOKENS, target, source_mask=MASK)
        if kind == "BartModel":
            expected = expected.last_hidden_state @ theirs.shared.weight.T
        else:
            expected = expected.logits
    torch.testing.assert_close(logits, expected, rtol=0, atol=atol)


@torch.no_grad()
def test_seq2seq_writes_the_same_ids(tmp_path):
    theirs = randomise(bart())
    large = ("norm.weight", "embedding.weight", "positions.weight", "shared.weight")
    for name, parameter in theirs.named_parameters():  # so that ids vary
        parameter.copy_(torch.randn_like(parameter) * (1.0 if name.endswith(large) else 0.1))
    theirs.save_pretrained(tmp_path)
    ours = load(tmp_path).model
    out = theirs.generate(
        TOKENS, attention_mask=MASK.long(), max_new_tokens=20, do_sample=False, num_beams=1,
        decoder_start_token_id=2, eos_token_id=None, forced_eos_token_id=None, pad_token_id=1,
    )  # fmt: skip
    target = torch.full((2, 1), 2)
    memory, state = ours.encode(TOKENS, mask=MASK), ours.new_state(2, 21)
    for _ in range(20):
        logits = ours(TOKENS, target[:, -1:], source_mask=MASK, memory=memory, state=state)
        target = torch.cat((target, logits[:, -1:].argmax(-1)), dim=1)
    assert torch.equal(target, out)
    assert len(set(target[0].tolist())) > 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale_embedding": True}, "scale_embedding is True"),
        ({"decoder_layers": 2}, "decoder_layers is 2, only"),
        ({"decoder_ffn_dim": 90}, "decoder_ffn_dim is 90, only"),
        ({"activation_function": "swish"}, "activation_function is 'swish'"),
        ({"max_position_embeddings": 63}, r"is \(64, 48\), the model needs \(63, 48\)"),
    ],
)
def test_a_bart_that_we_do_not_have(tmp_path, changes, message):
    saved(bart(), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | changes
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


def test_a_bias_of_the_logits_must_be_zero(tmp_path):
    theirs = bart()
    theirs.final_logits_bias[0, 3] = 0.5
    saved(theirs, tmp_path)
    with pytest.raises(ValueError, match="final_logits_bias is not 0, and our model has nothing"):
        load(tmp_path)


def test_masked_logits_with_padding_and_segments(tmp_path, dtype):
    theirs = saved(bert(), tmp_path, dtype)
    ours = load(tmp_path, dtype=dtype)
    assert isinstance(ours.model, MaskedLM)
    with torch.no_grad():
        expected = theirs(TOKENS, attention_mask=MASK.long(), token_type_ids=SEGMENTS).logits
        logits = ours.model(TOKENS, mask=MASK, segments=SEGMENTS)
    torch.testing.assert_close(logits[MASK], expected[MASK], rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        (transformers.BertModel, Transformer),
        (transformers.BertForPreTraining, MaskedLM),
        (transformers.BertForSequenceClassification, None),
    ],
)
def test_which_bert_it_is(tmp_path, kind, model):
    theirs = saved(bert(kind), tmp_path)
    if model is None:
        with pytest.raises(ValueError, match=r"left over: classifier.bias, classifier.weight"):
            load(tmp_path)
        return
    ours = load(tmp_path)
    assert isinstance(ours.model, model)
    base = theirs if kind is transformers.BertModel else theirs.bert
    encoder = ours.model if model is Transformer else ours.model.transformer
    with torch.no_grad():
        expected = base(TOKENS, token_type_ids=SEGMENTS).last_hidden_state
        torch.testing.assert_close(encoder(TOKENS, segments=SEGMENTS), expected, rtol=0, atol=1e-4)


def test_untied_bert(tmp_path):
    theirs = saved(bert(tie_word_embeddings=False), tmp_path)
    with torch.no_grad():
        expected = theirs(TOKENS).logits
        torch.testing.assert_close(load(tmp_path).model(TOKENS), expected, rtol=0, atol=1e-4)


def test_shards(tmp_path):
    theirs = randomise(llama())
    theirs.save_pretrained(tmp_path, max_shard_size="60KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    with torch.no_grad():
        logits = load(tmp_path).model(TOKENS)
        torch.testing.assert_close(logits, theirs(TOKENS).logits, rtol=0, atol=1e-4)


def test_names_of_old_checkpoints(tmp_path):
    """No prefix, the causal mask among the weights, and norms called gamma and beta."""
    theirs = saved(gpt2(), tmp_path / "gpt2")
    path = tmp_path / "gpt2" / "model.safetensors"
    tensors = {n.removeprefix("transformer."): t for n, t in read_safetensors(path).items()}
    write_safetensors(path, tensors | {"h.0.attn.bias": torch.ones(1, 1, 4, 4)})
    with torch.no_grad():
        torch.testing.assert_close(load(path.parent).model(TOKENS), theirs(TOKENS).logits)
    saved(bert(), tmp_path / "bert")
    path = tmp_path / "bert" / "model.safetensors"
    expected = load(path.parent).model(TOKENS)
    endings = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    tensors = read_safetensors(path)
    for new, old in endings.items():
        tensors = {n.replace(new, old): t for n, t in tensors.items()}
    write_safetensors(path, tensors)
    assert torch.equal(load(path.parent).model(TOKENS), expected)


def test_rope_theta_of_older_configs(tmp_path):
    theirs = saved(llama(), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["rope_parameters"]
    (tmp_path / "config.json").write_text(json.dumps(config | {"rope_theta": 500.0}))
    with torch.no_grad():
        torch.testing.assert_close(load(tmp_path).model(TOKENS), theirs(TOKENS).logits)


@pytest.mark.parametrize("digits", [False, True])
def test_the_tokenizer_of_a_folder(tmp_path, digits):
    saved(llama(vocab_size=400), tmp_path)
    theirs = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    steps = [pre_tokenizers.Digits(individual_digits=True), byte_level]
    theirs.pre_tokenizer = pre_tokenizers.Sequence(steps) if digits else byte_level
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|end|>"],
        show_progress=False,
    )
    theirs.train_from_iterator(["the cat of 1984 and the other cats, 1985"] * 3, trainer)
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = load(tmp_path).tokenizer
    text = "the catsé 1984🙂  end"
    assert ours.encode(text) == theirs.encode(text).ids
    assert ours.encode("<|end|>", allow_special=True) == [theirs.token_to_id("<|end|>")]


def test_a_vocabulary_that_is_larger_than_the_model(tmp_path):
    saved(bert(), tmp_path)
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = [f"w{i}" for i in range(94)]
    (tmp_path / "vocab.txt").write_text("\n".join([*marks, *words]))
    with pytest.raises(ValueError, match="98 tokens, but the model has vocab_size=97"):
        load(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join([*marks, *words[1:]]))
    assert load(tmp_path).tokenizer.vocab_size == 97


@pytest.mark.parametrize(
    "make", [gpt2, bart, lambda: llama(tie_word_embeddings=True)], ids=["gpt2", "bart", "llama"]
)
def test_tied_weights_under_the_name_that_the_library_kept(tmp_path, make):
    """`safetensors` keeps one name of a shared matrix, by the alphabet and not by its owner."""
    theirs = saved(make(), tmp_path)
    expected = load(tmp_path).model.state_dict()
    path = tmp_path / "model.safetensors"
    before = set(read_safetensors(path))
    safetensors.torch.save_model(theirs, str(path))
    assert set(read_safetensors(path)) != before
    for name, tensor in load(tmp_path).model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize(
    "index", ['{"weight_map": {"a": "model-00001-of-00002.safetensors"}}', "["]
)
def test_a_whole_file_counts_before_an_index(tmp_path, index):
    theirs = saved(gpt2(), tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with torch.no_grad():
        torch.testing.assert_close(load(tmp_path).model(TOKENS), theirs(TOKENS).logits)


@pytest.mark.parametrize(
    ("config", "generation", "stop"),
    [
        (2, None, (2,)),
        ([2, 3], None, (2, 3)),
        (2, {"eos_token_id": [2, 284]}, (2, 284)),
        (None, {"eos_token_id": 7}, (7,)),
        (2, {"eos_token_id": None}, (2,)),
        (None, {}, ()),
    ],
)
def test_every_id_that_ends_a_text(tmp_path, config, generation, stop):
    saved(gpt2(eos_token_id=None, bos_token_id=None), tmp_path)
    values = json.loads((tmp_path / "config.json").read_text()) | {"eos_token_id": config}
    (tmp_path / "config.json").write_text(json.dumps(values))
    (tmp_path / "generation_config.json").unlink(missing_ok=True)
    if generation is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps(generation))
    assert load(tmp_path).stop == stop
