"""Fine-tune story-gpt-nano: all weights, the head alone, LoRA, and a network from scratch.

    python experiments/finetuning.py

Is the person in a sentence a "she" or a "he"? The sentences have one name and no pronoun, and no
name of the test stands in a labelled sentence. With 10, 100 and 1,000 labels, beside counts of
words. Each rate is chosen on validation sentences with 1,000 labels and seed 0; then come three
seeds and the test sentences. Besides the accuracy, the loss of the tuned body as a language model.
At last the same sentences with a second task, their plot: one model for both, or two, all at the
rate that was chosen for names.

About 5 minutes on one core; stops and goes on where it was. Used by the chapter "Fine-tuning".
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

import minillm
from minillm import CausalLM, LabelledTexts, SequenceClassifier, add_lora, results
from minillm.corpora.stories import Story, stories
from minillm.corpora.stories.vocabulary import PRONOUN

ROOT = Path(__file__).parents[1]
SEEDS, SIZES, STEPS, BATCH = (0, 1, 2), (10, 100, 1000), 100, 16
RATES = {
    "full": (3e-4, 1e-3, 3e-3),
    "lora": (3e-3, 1e-2, 3e-2),
    "scratch": (3e-4, 1e-3, 3e-3),
}
STRENGTHS = (1e-2, 1e-1, 1.0, 10.0, 1e2, 1e3)
RANK = 8
ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
END = "<|endoftext|>"
CUT = re.compile(r'(?<=[.!?])\s+(?=[A-Z"])|(?<=[.!?]")\s+')
PRONOUNS = {"he", "she", "his", "her", "him", "hers", "himself", "herself"}
Run = dict[str, Any]


def sentences(part: Sequence[Story], names: Sequence[str]) -> list[tuple[str, int, str]]:
    """Sentences with one name and no pronoun; 1 if the name is a woman's; and the plot of each."""
    found = {}
    for story in part:
        for text in CUT.split(story.text):
            words = re.findall(r"[\w-]+", text)
            people = [word for word in words if word in PRONOUN]
            known = PRONOUNS & {word.lower() for word in words}
            if len(people) == 1 and people[0] in names and not known:
                found.setdefault(text, (text, int(PRONOUN[people[0]] == "she"), story.plot))
    rows = list(found.values())
    random.Random(0).shuffle(rows)
    return rows


def all_parts() -> list[list[tuple[str, int, str]]]:
    """Training, validation and test; no name stands in two of them."""
    corpus, names = stories(1500, seed=1), sorted(PRONOUN)
    random.Random(0).shuffle(names)
    return [
        sentences(corpus.train, names[:150]),
        sentences(corpus.train, names[150:190])[:400],
        sentences(corpus.validation + corpus.test, names[190:]),
    ]


class Tasks(nn.Module):
    """One body, a head for each task: logits of all tasks side by side (B, sum of classes)."""

    def __init__(self, base: CausalLM, classes: Sequence[int], *, pretrained: bool = True) -> None:
        super().__init__()
        whole = SequenceClassifier(base.config, sum(classes))
        if pretrained:
            whole.transformer.load_state_dict(base.transformer.state_dict())
        self.whole, self.classes = whole, list(classes)

    def forward(self, tokens: Tensor, *, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """Logits of each task."""
        logits: Tensor = self.whole(tokens, mask=mask)
        return logits.split(self.classes, dim=-1)


def update(optimizer: torch.optim.Optimizer, loss: Tensor, step: int, rate: float) -> None:
    """One step of AdamW; the rate rises over a tenth of the run and falls to 0 in a line."""
    factor = min(1.0, (step + 1) / (0.1 * STEPS)) * (1 - step / STEPS)
    for group in optimizer.param_groups:
        group["lr"] = rate * factor
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], 1.0)
    optimizer.step()


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    """AdamW over what may be trained."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(trained, weight_decay=0.01, fused=True)


def tune(model: Tasks, data: LabelledTexts, labels: list[Tensor], rate: float) -> None:
    """STEPS updates of BATCH texts on the sum of the tasks' losses; `data` holds row numbers."""
    optimizer = adamw(model)
    for step in range(STEPS):
        batch = data.batch(step, BATCH)
        logits = model(batch.inputs, mask=batch.mask)
        rows = batch.targets
        loss = sum(F.cross_entropy(z, y[rows]) for z, y in zip(logits, labels, strict=True))
        update(optimizer, torch.as_tensor(loss), step, rate)


@torch.no_grad()
def judge(model: Tasks, data: LabelledTexts, labels: list[Tensor]) -> list[float]:
    """Accuracy of each task."""
    parts = [model(b.inputs, mask=b.mask) for b in data.all().split(128)]
    logits = [torch.cat(z) for z in zip(*parts, strict=True)]
    return [(z.argmax(-1) == y).float().mean().item() for z, y in zip(logits, labels, strict=True)]


@torch.no_grad()
def lm_nats(transformer: nn.Module, base: CausalLM, windows: Tensor) -> float:
    """Mean next-token loss in nats, with the output matrix that the base model has."""
    hidden = transformer(windows[:, :-1])
    logits = hidden @ base.transformer.embedding.token.weight.T
    return F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten()).item()


def encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Ids of each text between two end tokens."""
    end = tokenizer.special[END]
    return [[end, *tokenizer.encode(text), end] for text in texts]


def windows(tokenizer: Any, texts: Sequence[str], count: int, length: int) -> Tensor:
    """The first `count` windows of texts in a row (count, length + 1)."""
    end = tokenizer.special[END]
    ids: list[int] = []
    for text in texts:
        ids += [end, *tokenizer.encode(text)]
        if len(ids) >= count * (length + 1):
            return torch.tensor(ids[: count * (length + 1)]).view(count, length + 1)
    raise ValueError(f"{len(ids)} tokens are fewer than {count} windows of {length + 1}")


class Bench:
    """Model, texts and labels that all runs share."""

    def __init__(self) -> None:
        loaded = minillm.load("story-gpt-nano")
        self.base, self.tokenizer = cast(CausalLM, loaded.model), loaded.tokenizer
        parts = all_parts()
        plots = sorted({plot for part in parts for *_, plot in part})
        self.words = [[text for text, *_ in part] for part in parts]
        self.texts = [encode(self.tokenizer, texts) for texts in self.words]
        self.name = [torch.tensor([she for _, she, _ in part]) for part in parts]
        self.plot = [torch.tensor([plots.index(p) for *_, p in part]) for part in parts]
        self.classes = {"name": 2, "plot": len(plots)}
        told = stories(1500, seed=1).test
        self.old = windows(self.tokenizer, [story.text for story in told], 32, 128)
        self.fingerprint = "\n".join(text for texts in self.words for text in texts)
        self.weights = self.base.transformer.embedding.token.weight.detach().numpy().tobytes()

    def rows(self, part: int, which: Sequence[int] | None = None, seed: int = 0) -> LabelledTexts:
        """Texts of a part with their row numbers in the place of labels."""
        chosen = list(range(len(self.texts[part]))) if which is None else list(which)
        texts = [self.texts[part][i] for i in chosen]
        return LabelledTexts(texts, chosen, max_length=128, seed=seed)

    def sample(self, size: int, seed: int) -> list[int]:
        """Rows of the training part."""
        return random.Random(seed).sample(range(len(self.texts[0])), size)

    def labels(self, part: int, tasks: Sequence[str]) -> list[Tensor]:
        """The labels of the tasks, one tensor each."""
        return [{"name": self.name, "plot": self.plot}[task][part] for task in tasks]


class Contest(NamedTuple):
    """What the runs that are compared have in common."""

    method: str
    size: int
    tasks: list[str]


def classify(b: Bench, contest: Contest, rate: float, seed: int) -> Run:
    """One run of a classifier, judged on validation and test texts and as a language model."""
    method, size, tasks = contest
    torch.manual_seed(seed)
    classes = [b.classes[task] for task in tasks]
    model = Tasks(b.base, classes, pretrained=method != "scratch")
    if method == "lora":
        add_lora(model, rank=RANK, targets=ALL_LINEAR)
        model.whole.head.requires_grad_(True)
    tune(model, b.rows(0, b.sample(size, seed), seed), b.labels(0, tasks), rate)
    row = {"method": method, "size": size, "rate": rate, "seed": seed, "tasks": tasks}
    for part, name in ((1, "validation"), (2, "test")):
        row[name] = judge(model, b.rows(part), b.labels(part, tasks))
    row["error"] = 1 - sum(row["validation"]) / len(tasks)
    return row | {"old": lm_nats(model.whole.transformer, b.base, b.old)}


@torch.no_grad()
def vectors(b: Bench, part: int) -> Tensor:
    """Mean hidden vectors of the frozen body (N, D)."""
    found = []
    for batch in b.rows(part).all().split(128):
        hidden = b.base.transformer(batch.inputs, mask=batch.mask)
        found.append(minillm.mean_pool(hidden, batch.mask))
    return torch.cat(found)


def linear(b: Bench, x: list[Any], method: str, size: int, seed: int) -> Run:
    """Logistic regression on the rows of `x`; its strength is chosen on validation texts."""
    which = b.sample(size, seed)
    best: Run = {"validation": [-1.0]}
    for strength in STRENGTHS:
        head = LogisticRegression(C=strength, max_iter=3000)
        head.fit(x[0][which], b.name[0][which].numpy())
        scores = [float(head.score(x[i], b.name[i].numpy())) for i in (1, 2)]
        if scores[0] > best["validation"][0]:
            best = {"rate": strength, "validation": scores[:1], "test": scores[1:]}
    return {"method": method, "size": size, "seed": seed, **best}


def swept(run: Callable[[float, int], Run], rates: Sequence[float]) -> Run:
    """All rates with seed 0, then the other seeds with the rate that is best on validation."""
    tried = [run(rate, 0) for rate in rates]
    top = min(tried, key=lambda row: float(row["error"]))
    return {"sweep": tried, "runs": [top, *(run(top["rate"], seed) for seed in SEEDS[1:])]}


def baselines(b: Bench) -> list[Run]:
    """Linear classifiers: on the frozen body's vectors, and on counts of words."""
    frozen = [vectors(b, part).numpy() for part in range(3)]
    counter = CountVectorizer().fit(b.words[0])
    counts = [counter.transform(texts) for texts in b.words]
    kinds = (("head", frozen), ("words", counts))
    return [linear(b, x, name, n, seed) for name, x in kinds for n in SIZES for seed in SEEDS]


def plan(b: Bench, done: Run) -> dict[str, Callable[[], Any]]:
    """Every set of runs by name; what needs a chosen rate comes when it is there."""

    def curve(method: str, size: int, tasks: list[str], rates: Sequence[float]) -> Run:
        contest = Contest(method, size, tasks)
        return swept(lambda rate, seed: classify(b, contest, rate, seed), rates)

    def rate(name: str) -> float:
        return float(done[name]["runs"][0]["rate"])

    made: dict[str, Callable[[], Any]] = {"linear": lambda: baselines(b)}
    for method in RATES:
        made[f"{method} 1000"] = lambda m=method: curve(m, 1000, ["name"], RATES[m])
    for size in (100, 10):
        for method in ("full", "lora"):  # from scratch even 1,000 labels teach nothing
            made[f"{method} {size}"] = lambda m=method, n=size: curve(
                m, n, ["name"], [rate(f"{m} 1000")]
            )
    for name, tasks in (("plot", ["plot"]), ("both", ["name", "plot"])):
        made[name] = lambda t=tasks: curve("full", 1000, t, [rate("full 1000")])
    return made


def main() -> None:
    """Make what is not there yet, then store everything."""
    log = log_file(__doc__, "finetuning")
    b = Bench()
    made, seconds = finished(log, lambda done: plan(b, done))
    old = lm_nats(b.base.transformer, b.base, b.old)
    results.store(
        "finetuning",
        {"old": round(old, 4), **made},
        command="python experiments/finetuning.py",
        seeds=SEEDS,
        seconds=seconds,
        data={"sentences": b.fingerprint, "nano": b.weights},
    )


def log_file(about: str, name: str) -> Path:
    """Where the runs that are done are kept, from the command line."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--log", type=Path, default=ROOT / "_build" / f"{name}.jsonl")
    log: Path = parser.parse_args().log
    log.parent.mkdir(parents=True, exist_ok=True)
    return log


def finished(log: Path, plan: Callable[[Run], dict[str, Callable[[], Any]]]) -> tuple[Run, float]:
    """All sets of runs by name, those of the log and those that are made now; and the seconds."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    rows = [json.loads(line) for line in lines]
    done = {row["name"]: row["made"] for row in rows}
    seconds = sum(row["seconds"] for row in rows)
    for name, make in plan(done).items():
        if name in done:
            continue
        started = time.process_time()
        done[name] = rounded(make())
        spent = time.process_time() - started
        seconds += spent
        with log.open("a", encoding="utf-8") as file:
            row = {"name": name, "made": done[name], "seconds": round(spent, 1)}
            file.write(json.dumps(row) + "\n")
        print(name, round(spent), flush=True)
    return done, seconds


def rounded(value: Any) -> Any:
    """The same with four digits after the point."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
