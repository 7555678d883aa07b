"""Train the translator of dates that the book ships: English to German, French, Spanish, Chinese.

    python experiments/date_translator.py train 0     # one seed: about 2 minutes on one core
    python experiments/date_translator.py short 0     # a third of the updates, of the same seeds
    python experiments/date_translator.py store       # when all of them are there

One small encoder-decoder over characters. The source begins with the wanted language, "de>May 1,
2024". A day is in the same part of every language, so no test date was read in any of them. Three
seeds of one recipe, and three of one that is three times as short. Each translates the same
validation and test dates; the seed that is best on validation dates is written to
`models/date-translator`. Beams and length penalties are tried on validation dates, too. Used by the
chapter "Translation".
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

import minillm
from minillm import CharTokenizer, ModelConfig, Seq2Seq, TokenPairs, TrainConfig
from minillm.corpora import Pair, dates
from minillm.results import store
from minillm.weights.model_folder import save_model

ROOT = Path(__file__).parents[1]
LANGUAGES = ("de", "fr", "es", "zh")
START, END = "^", "$"
SEEDS = SHORT_SEEDS = (0, 1, 2)
STEPS, SHORT, BATCH = 1200, 400, 32
JUDGED = 100  # dates of each language, in the validation and in the test part
BEAMS = ((1, 1.0), (4, 0.0), (4, 1.0))  # how many, and the length penalty
TRIED = 10  # validation dates of each language for the beams
ROOM = 40  # characters of the longest translation, and some


def pairs(part: str, count: int | None = None) -> list[Pair]:
    """The same days in every language; the source names the language first."""
    found = []
    for language in LANGUAGES:
        rows = getattr(dates(language), part)[:count]
        found += [Pair(f"{language}>{pair.source}", pair.target) for pair in rows]
    return found


def make_tokenizer() -> CharTokenizer:
    """One alphabet for all languages."""
    return CharTokenizer("".join(p.source + p.target for p in pairs("train")) + START + END)


def as_pairs(tokenizer: CharTokenizer, rows: list[Pair], seed: int = 0) -> TokenPairs:
    """Characters of both sides; the targets end with a token that says so."""
    sources = [tokenizer.encode(pair.source) for pair in rows]
    return TokenPairs(sources, [tokenizer.encode(p.target + END) for p in rows], seed=seed)


def train(seed: int, steps: int = STEPS) -> minillm.Trainer:
    """One run of the recipe."""
    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    model = Seq2Seq(
        ModelConfig(
            vocab_size=tokenizer.vocab_size,
            context_length=48,
            d_model=64,
            n_layers=2,
            n_heads=4,
            d_ff=128,
        )
    )
    config = TrainConfig(
        steps=steps,
        batch_size=BATCH,
        optimizer="muon",
        lr=4e-3,
        muon_lr=0.03,
        warmup_steps=20,
        schedule="linear",
        min_lr_ratio=0.0,
        eval_every=100,
        eval_batches=6,
        seed=seed,
    )
    trainer = minillm.Trainer(
        model,
        config,
        as_pairs(tokenizer, pairs("train"), seed),
        loss=partial(minillm.seq2seq_loss, start=tokenizer.encode(START)[0]),
        val_data=as_pairs(tokenizer, pairs("validation", 500)).sequential(),
    )
    trainer.fit()
    return trainer


@torch.no_grad()
def translate(model: Seq2Seq, tokenizer: CharTokenizer, rows: list[Pair]) -> list[str]:
    """Greedy translations."""
    start, end = tokenizer.encode(START + END)
    texts = []
    for batch in as_pairs(tokenizer, rows).sequential().all(100):
        writer = minillm.Conditioned(model, batch.inputs, batch.mask)
        first = torch.full((len(batch), 1), start)
        out = minillm.generate(writer, first, max_new_tokens=ROOM, stop={end})
        texts += [tokenizer.decode(row[1:]).split(END)[0] for row in out.tolist()]
    return texts


def by_beams(model: Seq2Seq, tokenizer: CharTokenizer, rows: list[Pair]) -> list[dict[str, Any]]:
    """The share of right dates for each number of beams and each length penalty."""
    start, end = tokenizer.encode(START + END)
    found = []
    for beams, penalty in BEAMS:
        right = 0
        for pair in rows:
            writer = minillm.Conditioned(model, torch.tensor([tokenizer.encode(pair.source)]))
            best = minillm.beam_search(
                writer,
                torch.tensor([[start]]),
                max_new_tokens=ROOM,
                n_beams=beams,
                stop={end},
                length_penalty=penalty,
            )[0]
            right += tokenizer.decode(best.tokens.tolist()).split(END)[0] == pair.target
        found.append({"beams": beams, "penalty": penalty, "right": right / len(rows)})
        print(found[-1], flush=True)
    return found


def exact(texts: list[str], rows: list[Pair]) -> float:
    """The share of texts that are right in every character."""
    return sum(t == p.target for t, p in zip(texts, rows, strict=True)) / len(rows)


def run(seed: int, folder: Path, steps: int) -> None:
    """Train a seed, let it translate, and keep what it is and said."""
    began = time.process_time()
    trainer = train(seed, steps)
    seconds = time.process_time() - began
    tokenizer, model = make_tokenizer(), trainer.model
    save_model(folder, model, tokenizer, "unfinished")  # type: ignore[arg-type]
    record: dict[str, Any] = {"seed": seed, "seconds": round(seconds, 1)}
    record["parameters"] = minillm.count_parameters(model)
    points = [(r.step, r.val_loss) for r in trainer.history if r.val_loss is not None]
    record["curve"] = [[step, round(value, 4)] for step, value in points]
    for part in ("validation", "test"):
        rows = pairs(part, JUDGED)
        record[part] = translate(model, tokenizer, rows)  # type: ignore[arg-type]
        print(seed, part, exact(record[part], rows), f"{seconds:.0f} s", flush=True)
    (folder / "answers.json").write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")


def card(record: dict[str, Any], validation: float, test: float) -> str:
    """What somebody should know who has only the folder."""
    return f"""# date-translator

An encoder-decoder of {record["parameters"]:,} parameters over characters that translates dates from
English to German (`de`), French (`fr`), Spanish (`es`) and Chinese (`zh`). It knows nothing else.
Its source is the language, `>` and the date: `de>Friday, January 5, 2024`; `{START}` begins a
translation, `{END}` ends it.

- **Data**: `minillm.corpora.dates` in four languages, from CLDR (Unicode licence): dates of 1900 to
  2099, in eight English ways; no test date was read in any language.
- **Result**: {validation:.3f} of {JUDGED * len(LANGUAGES)} validation dates right in every letter,
  {test:.3f} of as many test dates (greedy). It is the best on validation of {len(SEEDS)} seeds; the
  spread of the seeds is in `src/minillm/results/date_translator.json`.
- **Made by**: `python experiments/date_translator.py train {record["seed"]}`, then `store`:
  {STEPS:,} updates of {BATCH} in {record["seconds"]:.0f} seconds on one busy CPU core, minillm
  {minillm.__version__}, torch {torch.__version__}.
- **Limits**: other ways of writing a date (5th, 5/1/2024, lower case) are outside of what it read,
  and it answers them with some date all the same. Chapter "Translation" measures that.
- **Licence**: MIT, like the code.
"""


def read(folder: Path) -> dict[str, Any]:
    """What a run is and said."""
    record: dict[str, Any] = json.loads((folder / "answers.json").read_text("utf-8"))
    return record


def keep(runs: Path) -> None:
    """Write the stored results, and the seed that is best on validation dates to `models/`."""
    began = time.process_time()
    held, test, tokenizer = pairs("validation", JUDGED), pairs("test", JUDGED), make_tokenizer()
    paths = [runs / f"date-translator-{seed}" for seed in SEEDS]
    records = [read(path) for path in paths]
    short = [read(runs / f"date-translator-short-{seed}") for seed in SHORT_SEEDS]
    scores = [exact(record["validation"], held) for record in records]
    best = scores.index(max(scores))
    model = minillm.load(paths[best]).model
    assert isinstance(model, Seq2Seq)
    text = card(records[best], scores[best], exact(records[best]["test"], test))
    save_model(ROOT / "models" / "date-translator", model, tokenizer, text)
    other = minillm.load(runs / "date-translator-short-0").model
    assert isinstance(other, Seq2Seq)
    tried = {
        name: by_beams(one, tokenizer, pairs("validation", TRIED))
        for name, one in (("shipped", model), ("short", other))
    }
    store(
        "date_translator",
        {
            "languages": LANGUAGES,
            "judged": JUDGED,
            "best": best,
            "runs": records,
            "short": short,
            "beams": tried,
        },
        command="python experiments/date_translator.py train SEED, short SEED, then store",
        seeds=SHORT_SEEDS,
        seconds=sum(r["seconds"] for r in records + short) + time.process_time() - began,
        data={"dates": "\n".join(pair.text for pair in pairs("test"))},
    )


def main() -> None:
    """Train one seed, or store what was trained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("train", "short", "store"))
    parser.add_argument("seed", type=int, nargs="?", default=0)
    parser.add_argument("--runs", type=Path, default=ROOT / "_build" / "runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "train":
        run(options.seed, options.runs / f"date-translator-{options.seed}", STEPS)
    elif options.what == "short":
        run(options.seed, options.runs / f"date-translator-short-{options.seed}", SHORT)
    else:
        keep(options.runs)


if __name__ == "__main__":
    main()
