import pytest
import torch
from torch import nn

import minillm
from minillm import (
    CausalLM,
    LoRALinear,
    add_lora,
    generate,
    int8_weights,
    lora_state_dict,
    merge_lora,
)
from minillm.data.batch import Batch
from minillm.nn.lora import lora_layers
from minillm.weights.model_folder import save_model
from minillm.weights.safetensors import read_safetensors, write_safetensors
from tests.conftest import LLAMA, randomise

TOKENS = torch.randint(97, (2, 9), generator=torch.Generator().manual_seed(1))
EVERY = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def adapted(rank=2, **options):
    """A model with differences that are not 0."""
    model = add_lora(randomise(CausalLM(LLAMA)), rank=rank, **options)
    for layer in lora_layers(model).values():
        nn.init.normal_(layer.B, std=0.3)
    return model


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("rank", "alpha"), [(1, None), (3, 12.0)])
def test_layer_is_the_formula(rank, alpha, bias):
    base = randomise(nn.Linear(5, 4, bias=bias))
    layer, x = randomise(LoRALinear(base, rank, alpha)), torch.randn(2, 7, 5)
    scale = 1.0 if alpha is None else alpha / rank
    whole = layer.base.weight + scale * layer.B @ layer.A
    wanted = x @ whole.T + (layer.base.bias if bias else 0)
    torch.testing.assert_close(layer(x), wanted)
    torch.testing.assert_close(layer.difference(), whole - layer.base.weight)


def test_changes_nothing_at_first():
    model = randomise(CausalLM(LLAMA))
    before = model(TOKENS)
    assert add_lora(model, rank=3, targets=EVERY) is model
    torch.testing.assert_close(model(TOKENS), before, rtol=0, atol=0)


def test_starts_with_a_gradient_for_b_alone():
    layer = LoRALinear(nn.Linear(6, 5), rank=2)
    layer(torch.randn(3, 6)).square().sum().backward()
    assert layer.A.grad.abs().max() == 0
    assert layer.B.grad.abs().min() > 0
    assert layer.base.weight.grad is None
    assert layer.base.bias.grad is None


def test_a_starts_as_wide_as_a_linear_layer_and_from_its_generator():
    torch.manual_seed(0)
    layers = [
        LoRALinear(nn.Linear(400, 300), 100, generator=torch.Generator().manual_seed(seed))
        for seed in (5, 5, 6)
    ]
    assert torch.equal(layers[0].A, layers[1].A)
    assert not torch.equal(layers[0].A, layers[2].A)
    assert layers[0].A.abs().max() <= 400**-0.5
    assert abs(layers[0].A.std() - (3 * 400) ** -0.5) < 1e-3


def test_only_the_chosen_layers_and_only_the_differences_are_trained():
    model = add_lora(CausalLM(LLAMA), rank=2, targets=["k_proj", "down_proj"])
    names = {name for name, p in model.named_parameters() if p.requires_grad}
    assert names == set(lora_state_dict(model))
    assert {name.split(".")[-2] for name in names} == {"k_proj", "down_proj"}
    assert len(names) == 2 * 2 * LLAMA.n_layers


def test_training_leaves_the_base_as_it_was():
    model = adapted(targets=EVERY)
    frozen = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    was = lora_state_dict(model)
    was = {name: matrix.clone() for name, matrix in was.items()}
    config = minillm.TrainConfig(steps=2, batch_size=2, lr=1e-2)

    class Rows:
        def batch(self, _step, _size):
            return Batch(TOKENS[:, :-1], TOKENS[:, 1:])

    minillm.Trainer(model, config, Rows()).fit()
    for name, parameter in model.named_parameters():
        if name in frozen:
            assert torch.equal(parameter, frozen[name])
        else:
            assert not torch.equal(parameter, was[name])


def test_merged_is_unmerged():
    model = adapted(rank=3, alpha=7.0, targets=EVERY)
    apart = model(TOKENS)
    assert merge_lora(model) is model
    assert not lora_layers(model)
    assert [*model.state_dict()] == [*CausalLM(LLAMA).state_dict()]
    torch.testing.assert_close(model(TOKENS), apart)


def test_writes_what_it_writes_when_merged():
    model = adapted()
    apart = generate(model, TOKENS[:1], max_new_tokens=6)
    assert torch.equal(generate(merge_lora(model), TOKENS[:1], max_new_tokens=6), apart)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_full_rank_reaches_every_matrix(shape):
    torch.manual_seed(0)
    wanted = torch.randn(shape)
    base = nn.Linear(shape[1], shape[0], bias=False)
    layer = LoRALinear(base, rank=min(shape), alpha=3.0)
    u, s, vh = torch.linalg.svd(wanted - base.weight, full_matrices=False)
    with torch.no_grad():
        layer.A.copy_(vh)
        layer.B.copy_(u * s * layer.rank / layer.alpha)
    torch.testing.assert_close(layer.base.weight + layer.difference(), wanted)


def test_differences_are_small_and_return_from_a_file(tmp_path):
    model = adapted(rank=1)
    path = tmp_path / "lora.safetensors"
    write_safetensors(path, lora_state_dict(model))
    numbers = sum(t.numel() for t in read_safetensors(path).values())
    d, kv = LLAMA.d_model, LLAMA.kv_heads * LLAMA.head_dim
    assert numbers == LLAMA.n_layers * (d + d + d + kv)
    other = add_lora(randomise(CausalLM(LLAMA)), rank=1)
    assert not torch.allclose(other(TOKENS), model(TOKENS))
    rest = other.load_state_dict(read_safetensors(path), strict=False)
    assert not rest.unexpected_keys
    torch.testing.assert_close(other(TOKENS), model(TOKENS))


def test_eight_bits_below_the_difference():
    model = adapted(targets=EVERY)
    exact = model(TOKENS)
    int8_weights(model)
    assert len(lora_layers(model)) == 7 * LLAMA.n_layers
    assert (model(TOKENS) - exact).abs().max() < 0.1 * exact.std()


def test_a_folder_needs_the_merged_model(tmp_path):
    model = adapted()
    with pytest.raises(ValueError, match="q_proj"):
        save_model(tmp_path / "m", model, None, "card")
    save_model(tmp_path / "m", merge_lora(model), None, "card")
    torch.testing.assert_close(minillm.load(tmp_path / "m").model(TOKENS), model(TOKENS))


@pytest.mark.parametrize("rank", [0, -1, 49])
def test_bad_rank_leaves_the_model_alone(rank):
    model = CausalLM(LLAMA)
    with pytest.raises(
        ValueError, match=rf"rank={rank}, but a matrix \(48, 48\) has ranks 1 to 48"
    ):
        add_lora(model, rank=rank)
    assert not lora_layers(model)
    assert all(p.requires_grad for p in model.parameters())


def test_rank_above_one_of_several_layers():
    model = CausalLM(LLAMA)
    with pytest.raises(ValueError, match=r"rank=17, but a matrix \(16, 48\)"):
        add_lora(model, rank=17, targets=["q_proj", "k_proj"])
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("alpha", [0, -1.0, float("inf"), float("nan")])
def test_bad_alpha(alpha):
    with pytest.raises(ValueError, match=f"alpha={alpha} must be a positive number"):
        LoRALinear(nn.Linear(3, 3), 1, alpha)


@pytest.mark.parametrize("targets", [[], ["q_proj", "query"]])
def test_unknown_layers(targets):
    with pytest.raises(ValueError, match=r"but the linear layers are .*'down_proj'"):
        add_lora(CausalLM(LLAMA), rank=1, targets=targets)


def test_twice_is_refused():
    model = adapted()
    with pytest.raises(ValueError, match=r"blocks.0.attention.q_proj has LoRA already"):
        add_lora(model, rank=1)


def test_bytes_cannot_be_merged():
    with pytest.raises(ValueError, match=r"q_proj is an Int8Linear, but only a Linear takes"):
        merge_lora(int8_weights(adapted()))


def test_nothing_to_merge_or_to_keep():
    for function in (merge_lora, lora_state_dict):
        with pytest.raises(ValueError, match="CausalLM has 0 layers with LoRA"):
            function(CausalLM(LLAMA))
