"""The diary of a training run: one record for every update, kept as lines of JSON.

A long run is made once and drawn many times, so a history can be written, read and plotted without
model or torch. Chapter "Pretraining".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self, overload


@dataclass(frozen=True, kw_only=True)
class Record:
    """What happened in one update.

    Args:
        step: updates done, this one included: the first record has 1.
        tokens: targets trained on since the start of the run.
        loss: mean loss per target of this update's batch, before the update, in nats.
        lr: learning rate of this update (AdamW's).
        grad_norm: length of the whole gradient before clipping.
        seconds: time spent in updates since the start of the run.
        val_loss: mean loss on validation data after this update, where it was measured.

    Book: chapter "Pretraining".
    """

    step: int
    tokens: int
    loss: float
    lr: float
    grad_norm: float
    seconds: float
    val_loss: float | None = None


NAMES = tuple(field.name for field in fields(Record))


class History(Sequence[Record]):
    """The records of a run, in order.

    Args:
        records: to begin with.

    Example:
        >>> record = Record(step=1, tokens=8, loss=2.0, lr=0.1, grad_norm=1.0, seconds=0.5)
        >>> history = History([record])
        >>> history.column("loss"), history.column("val_loss")
        ([2.0], [])

    Book: chapter "Pretraining".
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._records = list(records)

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> History: ...

    def __getitem__(self, index: int | slice) -> Record | History:
        if isinstance(index, slice):
            return History(self._records[index])
        return self._records[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self._records == other._records

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"History({len(self)} records)"

    def append(self, record: Record) -> None:
        """Add the record of the latest update."""
        self._records.append(record)

    def column(self, name: str) -> list[float]:
        """The values of one field, of those records that have it.

        Raises:
            ValueError: If there is no such field.
        """
        return [getattr(record, name) for record in self._having(name)]

    def steps(self, name: str) -> list[int]:
        """The steps that belong to `column(name)`.

        Raises:
            ValueError: If there is no such field.
        """
        return [record.step for record in self._having(name)]

    def to_jsonl(self, path: str | Path) -> None:
        """Write one JSON object a line; values that are None are left out."""
        lines = [
            json.dumps({k: v for k, v in asdict(record).items() if v is not None}) + "\n"
            for record in self._records
        ]
        Path(path).write_text("".join(lines), encoding="utf-8")

    @classmethod
    def from_jsonl(cls, path: str | Path) -> Self:
        """Read what `to_jsonl` wrote.

        Raises:
            ValueError: If a line is not a record; names file and line.
        """
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        return cls(_parse(line, f"{path}, line {n}") for n, line in enumerate(lines, start=1))

    def _having(self, name: str) -> list[Record]:
        if name not in NAMES:
            raise ValueError(f"{name!r} is no column of a history; it has {', '.join(NAMES)}")
        return [record for record in self._records if getattr(record, name) is not None]


def _parse(line: str, where: str) -> Record:
    try:
        values: dict[str, Any] = json.loads(line)
        return Record(**values)
    except (json.JSONDecodeError, TypeError) as error:
        raise ValueError(f"{where} is no training record: {error}") from error
