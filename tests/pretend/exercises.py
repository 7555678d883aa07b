"""Small uses of the package on a device, each with results that may be compared between devices.

Every function takes the name of a device and builds all that it needs from seeds on the CPU, so
what it returns must be the same on every device. `test_package` compares the CPU with the pretend
accelerator, and `test_population` counts which public names ran on it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
import transformers
from torch import Tensor, nn

import minillm
from minillm import (
    CausalLM,
    MaskedLM,
    NGramLM,
    RecurrentConfig,
    RecurrentLM,
    Sampling,
    Seq2Seq,
    SequenceClassifier,
    plot,
    widgets,
)
from minillm.data.batch import IGNORE, Batch
from minillm.inference import patterns
from minillm.inference.agent import ToolChooser, run_agent
from minillm.inference.beam import beam_steps
from minillm.inference.chat import Chat
from minillm.inference.constrained import Constrained, TokenMask
from minillm.inference.prefix_cache import PrefixCache
from minillm.inference.tools import Tool
from minillm.nn.moe import MixtureOfExperts
from minillm.tokenizer.wordpiece import WordPieceTokenizer
from minillm.training.callbacks import Checkpoint, EarlyStopping, SampleText
from minillm.weights.model_folder import save_model
from tests.conftest import BERT, GPT2, LLAMA, VASWANI, randomise
from tests.weights.test_load import CONFIG, Kind, write_gguf

CAUSAL = {"gpt2": GPT2, "llama": LLAMA}
DRAW = Sampling(temperature=0.8, top_k=20, top_p=0.9, min_p=0.01)
TOKENS = torch.randint(97, (2, 9), generator=torch.Generator().manual_seed(1))
MASK = torch.arange(9) >= torch.tensor([[3], [0]])  # the first row is padded on the left
VECTORS = torch.randn(2, 6, 9, 8, generator=torch.Generator().manual_seed(2))


def made(model: nn.Module, device: str) -> Any:
    return randomise(model).to(device)


def causal(device: str, family: str = "llama") -> CausalLM:
    return made(CausalLM(CAUSAL[family]), device)


def gradients(model: nn.Module, loss: Tensor) -> list[Tensor]:
    loss.backward()
    return [p.grad for p in model.parameters() if p.grad is not None]


def language_models_forward_and_backward(device: str) -> Any:
    results = []
    for family in CAUSAL:
        model = causal(device, family)
        batch = Batch(TOKENS[:, :-1], TOKENS[:, 1:].clone(), MASK[:, :-1]).to(device)
        batch.targets[0, :2] = IGNORE
        total, count = minillm.lm_loss(model, batch)
        log_probs = minillm.sequence_log_probs(model, batch).detach()
        results.append((count, minillm.count_targets(batch), log_probs, gradients(model, total)))
    return results


def encoders_forward_and_backward(device: str) -> Any:
    masked, classifier = made(MaskedLM(BERT), device), made(SequenceClassifier(BERT, 3), device)
    batch = Batch(TOKENS, torch.tensor([2, 0]), MASK).to(device)
    total, _ = minillm.classification_loss(classifier, batch)
    logits = masked(batch.inputs, mask=batch.mask)
    hidden = minillm.mask_tokens(batch.inputs, mask_id=4, vocab_size=97, rate=1.0, random=0.0)
    lost, count = minillm.mlm_loss(masked, Batch(batch.inputs, hidden.targets, batch.mask))
    return (
        logits.detach(),
        lost.detach(),
        count,
        minillm.segments_of(batch.inputs, int(TOKENS[0, 3])),
        gradients(classifier, total),
        gradients(masked, logits.logsumexp(-1).sum()),
    )


def encoder_and_decoder(device: str) -> Any:
    model, tokens, mask = made(Seq2Seq(VASWANI), device), TOKENS.to(device), MASK.to(device)
    logits = model(tokens, tokens[:, :5], source_mask=mask)
    return logits.detach(), gradients(model, logits.square().mean())


def translating(device: str) -> Any:
    model = made(Seq2Seq(VASWANI), device)
    batch = minillm.TokenPairs([[5, 6, 7], [8]], [[9, 1], [4, 3, 1]]).batch(0, 2).to(device)
    total, count = minillm.seq2seq_loss(model, batch, start=2)
    writer = minillm.Conditioned(model, batch.inputs, batch.mask)
    begun = minillm.shift_right(batch.targets, 2)[:, :1]
    text = minillm.generate(writer, begun, max_new_tokens=4)
    return count, text, gradients(model, total)


def a_mixture_of_experts(device: str) -> Any:
    layer = made(MixtureOfExperts(LLAMA, n_experts=4, top_k=2), device)
    y = layer(VECTORS[0, 0].repeat(1, 6).to(device))
    return y.detach(), layer.shares, gradients(layer, y.square().mean() + layer.balance)


def low_rank_adaptation(device: str) -> Any:
    targets, source = ("q_proj", "down_proj"), torch.Generator().manual_seed(0)
    model = minillm.add_lora(causal(device), rank=2, targets=targets, generator=source)
    layer = model.get_submodule("transformer.blocks.0.attention.q_proj")
    grads = gradients(model, model(TOKENS.to(device)).square().mean())
    with torch.no_grad():
        for matrix in minillm.lora_state_dict(model).values():
            matrix.add_(0.1)
        apart, difference = model(TOKENS.to(device)), layer.difference()
        return grads, apart, difference, minillm.merge_lora(model)(TOKENS.to(device))


def recurrent_networks(device: str) -> Any:
    results = []
    for cell in ("rnn", "gru", "lstm"):
        model = made(RecurrentLM(RecurrentConfig(vocab_size=97, d_model=16, cell=cell)), device)
        tokens, mask = TOKENS.to(device), MASK.to(device)
        text = minillm.generate(model, tokens, max_new_tokens=4, sampling=minillm.GREEDY, mask=mask)
        logits = model(tokens, mask=mask)
        results.append((text, logits.detach(), gradients(model, logits.square().mean())))
    return results


def layers_of_torch(device: str) -> Any:
    results = []
    for layer in (nn.RNN, nn.GRU, nn.LSTM):
        model = made(layer(8, 8, batch_first=True), device)
        out, _ = model(VECTORS[:, 0].to(device))
        results.append((out.detach(), gradients(model, out.sum())))
    return results


def attention_by_hand_and_fused(device: str) -> Any:
    q, k, v = (VECTORS.roll(i, 0).to(device) for i in range(3))
    mask = minillm.causal_mask(9, 9, device=q.device) & MASK.to(device)[:, None, None]
    by_hand, weights = minillm.explicit_attention(q, k, v, mask=mask)
    fused = minillm.fused_attention(q, k, v, causal=True)
    return by_hand, weights, fused, minillm.explicit_attention(q, k, v, causal=True)[0]


def parts(device: str) -> Any:
    x, positions = VECTORS[:, 0].to(device), torch.arange(9, device=device)
    rope, norm = minillm.Rope(8).to(device), made(minillm.RMSNorm(8), device)
    cell = made(nn.Linear(8, 8), device)
    turned = minillm.rotate(VECTORS.to(device), rope(positions))
    around = minillm.pre_norm(x, norm, cell), minillm.post_norm(x, norm, cell)
    pooled = minillm.mean_pool(x, MASK.to(device))
    return turned, [y.detach() for y in around], pooled, minillm.newton_schulz(x[0])


def writing(device: str) -> Any:
    texts = []
    for family in CAUSAL:
        model, prompts = causal(device, family), [[5, 6, 7], [8]]
        tokens, mask = (part.to(device) for part in minillm.left_pad(prompts))
        for sampling in (minillm.GREEDY, DRAW):
            dice = torch.Generator(device).manual_seed(4)
            options = {"max_new_tokens": 6, "sampling": sampling, "mask": mask, "stop": (3,)}
            texts.append(minillm.generate(model, tokens, generator=dice, **options))
            steps = minillm.stream(model, tokens, generator=dice, **options)
            texts.append([step.token for step in steps])
    return texts


def speculating(device: str) -> Any:
    target, draft, prompt = causal(device), causal(device, "gpt2"), TOKENS[:1].to(device)
    found = []
    for sampling in (minillm.GREEDY, DRAW):
        dice = torch.Generator(device).manual_seed(4)
        options = {"max_new_tokens": 6, "k": 3, "sampling": sampling, "generator": dice}
        done = minillm.speculative_generate(target, draft, prompt, **options)
        found.append((done.tokens, done.accepted, done.calls))
    return found


def against_repetition(device: str) -> Any:
    rules = (
        lambda logits, text: minillm.penalise_repeats(logits, text, 1.5),
        lambda logits, text: minillm.forbid_repeated_ngrams(logits, text, 2),
    )
    prompt = TOKENS[:1].to(device)
    models = [minillm.Restrained(causal(device), rule) for rule in rules]
    return [minillm.generate(model, prompt, max_new_tokens=6) for model in models]


def beams(device: str) -> Any:
    model, prompt = causal(device), TOKENS[:1].to(device)
    found = minillm.beam_search(model, prompt, max_new_tokens=5, n_beams=3, stop=(3, 4))
    return [(h.tokens, h.log_prob) for h in found]


def inside_a_pattern(device: str) -> Any:
    """Rows with patterns of their own, padded on the left, drawn and searched."""
    words = [chr(33 + i // 10).encode() + chr(48 + i % 10).encode() for i in range(97)]
    letters = TokenMask([b"", *words[1:]], end=0)
    forms = [patterns.many(patterns.one_of(["!3", '"4', "#5"])), patterns.one_of(["!1!2", "$7"])]
    model, found = causal(device), []
    tokens, mask = (part.to(device) for part in minillm.left_pad([[5, 6, 7], [8]]))
    for sampling in (minillm.GREEDY, DRAW):
        dice = torch.Generator(device).manual_seed(4)
        options = {"max_new_tokens": 6, "sampling": sampling, "mask": mask, "stop": (0, 14)}
        inside = Constrained(model, forms, letters)
        found.append(minillm.generate(inside, tokens, generator=dice, **options))
    inside = Constrained(model, forms[0], letters)
    beams = minillm.beam_search(inside, tokens[:1], max_new_tokens=4, n_beams=3, stop=(0,))
    return found, inside(tokens[:1]), [(h.tokens, h.log_prob) for h in beams]


def chatting(device: str) -> Any:
    """Two turns of a conversation, and an agent with one tool."""
    marks = ("<|im_start|>", "<|im_end|>")
    tokenizer = minillm.BPETokenizer.train("sea shells and sea sand " * 9, 270, special=marks)
    sizes = replace(LLAMA, vocab_size=tokenizer.vocab_size, context_length=1024)
    model, template = made(CausalLM(sizes), device), minillm.ChatTemplate()
    stop = (tokenizer.special[marks[1]],)
    talk = Chat(model, tokenizer, template, stop=stop, max_new_tokens=6, sampling=minillm.GREEDY)
    answers = [talk.ask("sea"), talk.ask("and sand?")]
    coin = Tool("coin", "flips", patterns.one_of(["one", "two"]), lambda text: f"{text} heads")
    chooser = ToolChooser(model, tokenizer, template, [coin])
    chooser.calibrate(["shells", "sand"])
    run = run_agent(chooser, "sea", max_steps=2)
    return answers, chooser.bias, run.ended, [[*call, told] for call, told in run.steps]


def choosing_a_token(device: str) -> Any:
    logits, dice = VECTORS[0, :, :, 0].to(device), torch.Generator(device).manual_seed(3)
    filtered = [minillm.filter_top_k(logits, 3), minillm.filter_top_p(logits, 0.7)]
    filtered += [minillm.filter_min_p(logits, 0.2), minillm.apply_filters(logits, DRAW)]
    return filtered, minillm.sample(logits, DRAW, generator=dice), minillm.sample(logits)


def reading_in_pieces(device: str) -> Any:
    model, tokens = causal(device), TOKENS.to(device)
    cache = model.new_state(2, 9)
    with torch.no_grad():
        pieces = [model(tokens[:, :4], state=cache), model(tokens[:, 4:], state=cache)]
        cache.truncate(6)
        cache.reorder(torch.tensor([1, 0], device=device))
        last = model.next_logits(tokens[:, 6:7], state=cache)
    return pieces, last


def a_kept_beginning(device: str) -> Any:
    reader, text = PrefixCache(causal(device)), TOKENS[:1].to(device)
    first = minillm.generate(reader, text, max_new_tokens=3, sampling=minillm.GREEDY)
    again = minillm.generate(reader, first, max_new_tokens=3, sampling=minillm.GREEDY)
    beamed = minillm.beam_search(reader, text, max_new_tokens=3, n_beams=2)
    return first, again, [h.tokens for h in beamed]


def scoring_a_text(device: str) -> Any:
    text = TOKENS.flatten().to(device)
    return [minillm.perplexity(causal(device, f), text, length=8, stride=4) for f in CAUSAL]


def vectors_of_sentences(device: str) -> Any:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "##s"]
    tokenizer, model = WordPieceTokenizer(words), made(minillm.Transformer(BERT), device)
    return minillm.sentence_vectors(
        model, tokenizer, ["the cat", "cats sat the", "the"], max_length=8, batch_size=2
    )


def looking_inside(device: str) -> Any:
    model, tokens = causal(device), TOKENS.to(device)
    with minillm.capture(model) as trace, torch.no_grad():
        model(tokens)
    lens, stacks = minillm.logit_lens(model, trace), (trace.attention_stack(), trace.hidden_stack())
    with minillm.patch(model, "transformer.blocks.1", lambda x: x * 0.5), torch.no_grad():
        patched = model(tokens)
    return lens, stacks, patched, minillm.attention_maps(model, tokens)


def taking_heads_out(device: str) -> Any:
    model, tokens = causal(device, "gpt2"), TOKENS.to(device)
    says = minillm.head_outputs(model, tokens)
    means = {(1, 2): says[1, :, 2].mean((0, 1)), (0, 1): 0.0}
    with minillm.ablate_heads(model, means), torch.no_grad():
        return says, model(tokens)


def eight_bits(device: str) -> Any:
    with torch.no_grad():
        before = minillm.int8_weights(causal(device, "gpt2"))
        after = minillm.int8_weights(randomise(CausalLM(GPT2))).to(device)
        logits = [model(TOKENS.to(device)) for model in (before, after)]
    return logits, before.lm_head.dequantise()


def counting_models(device: str) -> Any:
    corpus, held = torch.randint(9, (200,), generator=torch.Generator().manual_seed(0)), TOKENS % 9
    model = NGramLM(9, 3).fit(corpus.to(device))
    text = held.to(device)
    written = minillm.generate(model, text, max_new_tokens=4, sampling=minillm.GREEDY)
    found = minillm.beam_search(model, text[:1], max_new_tokens=3, n_beams=2)
    scores = model.log_probs(text[0]), model.prob(text[0], 3), model.distribution(text[0])
    value = minillm.perplexity(model, text[0], length=6, stride=2)
    return written, [h.tokens for h in found], scores, model(text, mask=MASK.to(device)), value


def updates(device: str) -> Any:
    """Both optimisers and all three schedules, with an average of the weights."""
    results = []
    for optimizer, schedule in (("adamw", "cosine"), ("muon", "linear"), ("muon", "stable")):
        config = {"optimizer": optimizer, "schedule": schedule, "ema_decay": 0.9, "lr": 1e-3}
        trainer = new_trainer(device, steps=4, eval_every=2, micro_batch_size=2, **config)
        trainer.fit()
        results.append((trainer.history.column("loss"), trainer.evaluate(), weights(trainer.model)))
    return results


def stopped_and_resumed(device: str) -> Any:
    """A run that is killed after four of six updates and goes on in a new model."""
    with tempfile.TemporaryDirectory() as folder:
        new_trainer(device, dropout=0.1, callbacks=[Checkpoint(folder, every=2)]).fit(4)
        resumed = new_trainer(device, seed=5, dropout=0.1)
        resumed.resume(folder)
        resumed.fit()
    whole = new_trainer(device, dropout=0.1)
    whole.fit()
    torch.testing.assert_close(weights(whole.model), weights(resumed.model), rtol=0, atol=0)
    return resumed.history.column("loss"), weights(resumed.model)


def resumed_elsewhere(device: str) -> Any:
    """A checkpoint written on this device and read on the CPU, and the other way round."""
    losses = []
    for first, second in ((device, "cpu"), ("cpu", device)):
        with tempfile.TemporaryDirectory() as folder:
            new_trainer(first, optimizer="muon", callbacks=[Checkpoint(folder, every=3)]).fit(3)
            resumed = new_trainer(second, optimizer="muon")
            resumed.resume(folder)
            losses.append(resumed.fit().column("loss"))
    return losses


def watched_training(device: str) -> Any:
    """Samples, an early end, and a picture."""
    letters = minillm.CharTokenizer("abcdefghi")
    sampler = SampleText(letters, "abc", every=2, max_new_tokens=4, write=lambda _: None)
    stopping = EarlyStopping(patience=1, min_delta=10.0)
    live = plot.LivePlot(every=0.0)
    trainer = new_trainer(device, vocab_size=9, eval_every=1, callbacks=[sampler, stopping, live])
    trainer.fit()
    return trainer.step, sampler.samples, trainer.history.column("val_loss")


def half_precision(device: str) -> Any:
    """The update in bfloat16 must run; its numbers are those of the device."""
    trainer = new_trainer(device, steps=2, precision="bfloat16")
    return len(trainer.fit())


def first_weights(device: str) -> Any:
    model = causal(device)
    torch.manual_seed(0)
    minillm.init_weights(model, std=0.1)
    return weights(model)


def files(device: str) -> Any:
    """A model of our own folder, written from the device and loaded onto it."""
    tokenizer = minillm.CharTokenizer("abcdefgh")
    config = minillm.ModelConfig(
        vocab_size=tokenizer.vocab_size, context_length=16, d_model=16, n_layers=2, n_heads=2
    )
    model = made(CausalLM(config), device)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        save_model(Path(folder), model, tokenizer, "a card", dtype=torch.float32)
        loaded = minillm.load(folder, device=device)
        tokens = torch.tensor([[1, 2, 3]], device=device)
        return loaded.model(tokens), model(tokens)


def files_of_others(device: str) -> Any:
    """A GGUF file and a folder in the Hugging Face layout, loaded onto the device."""
    encoder = transformers.BertConfig(
        vocab_size=97, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32,
    )  # fmt: skip
    logits = []
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        torch.manual_seed(0)
        transformers.BertModel(encoder).save_pretrained(folder)
        path = write_gguf(Path(folder) / "tiny.gguf", randomise(CausalLM(CONFIG)), kind=Kind.Q8_0)
        for name in (folder, path):
            loaded = minillm.load(name, device=device)
            logits.append(loaded.model(TOKENS.to(device)))
    return logits


def pictures(device: str) -> Any:
    """What draws or is played with takes tensors from any device."""
    maps, words = VECTORS[0].to(device).softmax(-1), list("abcdefghi")
    square = torch.ones(3, 3, device=device, dtype=torch.bfloat16)
    right = torch.tensor([True, False, True], device=device)
    values = torch.tensor([0.2, 0.5, 0.9], device=device, requires_grad=True)
    plot.attention(maps[0, :, :8], words, words[:8])
    plot.attention_grid(maps[:2, :8], words[:8])
    plot.bars(words[:3], values, errors=values)
    plot.confusion(square, words[:3])
    plot.distribution(words[:3], values)
    plot.reliability(values, right, n_bins=2)
    plot.surprisal(words[:3], values)
    plt.close("all")
    return _widgets(device, words, values)


def _widgets(device: str, words: list[str], values: Tensor) -> Any:
    square = torch.eye(3, device=device).expand(1, 2, 3, 3)
    coordinates = torch.tensor([[1, 0.5], [0.2, -1], [-1, 0.3], [0.5, 1], [0, 1]], device=device)
    made = [
        widgets.AttentionExplorer({"a b c": (words[:3], square)}, scores={"s": square[:, :, 0, 0]}),
        widgets.NGramExplorer(words[:3], 10 * values, {(0, 1): 2}, {(0, 1, 2): 1}),
        _playground(device),
        _beam_tree(device),
        widgets.Sampler({"a": values}, str, top_k=2),
        widgets.RankExplorer({"W": VECTORS[0, 0].to(device)}),
        widgets.RotaryPairs(VECTORS[0, 0, 0].to(device), VECTORS[0, 0, 1].to(device)),
        widgets.SoftDictionary(coordinates, coordinates[0]),
        widgets.SoftmaxTemperature(words[:3], values),
        widgets.SpeculativeSteps({"k": _written(device)}, str),
        widgets.ThresholdDesk({"model": values}, torch.tensor([0, 1, 1], device=device)),
    ]
    return [type(view).__name__ for view in made]


def _written(device: str) -> Any:
    model, prompt = causal(device), TOKENS[:1].to(device)
    return minillm.speculative_generate(model, model, prompt, max_new_tokens=3, k=2)


def _beam_tree(device: str) -> Any:
    model, prompt = causal(device), TOKENS[:1].to(device)
    steps, greedy = (beam_steps(model, prompt, max_new_tokens=3, n_beams=n) for n in (2, 1))
    return widgets.BeamTree(steps, greedy, str)


def _playground(device: str) -> Any:
    config = minillm.ModelConfig(vocab_size=6, context_length=8, d_model=8, n_layers=1, n_heads=2)
    tokenizer = minillm.CharTokenizer("sea shell")
    view = widgets.Playground(minillm.CausalLM(config).to(device), tokenizer, text="sea")
    assert len(view.candidates()) == 6
    return view


def weights(model: nn.Module) -> list[Tensor]:
    return [p.detach().cpu() for p in model.parameters()]


def new_trainer(device: str, *, seed: int = 0, **changes: Any) -> minillm.Trainer:
    """A small model and a text; what `changes` do not say of model or run goes to the config."""
    callbacks = changes.pop("callbacks", ())
    model = {"dropout": changes.pop("dropout", 0.0), "vocab_size": changes.pop("vocab_size", 97)}
    shape = minillm.ModelConfig(context_length=8, d_model=16, n_layers=2, n_heads=2, **model)
    text = torch.arange(400) ** 2 % shape.vocab_size
    data = minillm.TokenWindows(text, 8, seed=0)
    config = minillm.TrainConfig(**{"steps": 6, "batch_size": 4, "eval_batches": 2, **changes})
    torch.manual_seed(seed)
    made = CausalLM(shape).to(device)
    return minillm.Trainer(made, config, data, val_data=data, callbacks=callbacks)


HELPERS = (made, causal, gradients, weights, new_trainer)
EXERCISES: tuple[Callable[[str], Any], ...] = tuple(
    value
    for name, value in list(globals().items())
    if getattr(value, "__module__", "") == __name__
    and not name.startswith("_")
    and value not in HELPERS
)
