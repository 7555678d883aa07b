"""The state of a small world and the rules by which it changes.

The state is a set of facts, each saying that a relation has one value for one subject:
with(kite) = Mira, at(Mira) = market. An event needs some facts and makes others, as in
STRIPS. The rules are data (events.txt), so the generator and the truth test share them.

Source: Fikes and Nilsson (1971), "STRIPS", Artificial Intelligence 2.
Book: chapter "Pretraining".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_STATEMENT = re.compile(r"(\w+)\((\w+)\)(!?=)(\w+)(?:\((\w+)\))?")


@dataclass(frozen=True, order=True)
class Fact:
    """A relation with its value for one subject: Fact("with", "kite", "Mira")."""

    relation: str
    subject: str
    value: str

    def __str__(self) -> str:
        return f"{self.relation}({self.subject}) = {self.value}"


@dataclass(frozen=True)
class Statement:
    """A condition or an effect with parameters of an event: with(x)=a, at(a)!=at(b).

    `inner` is empty, or the argument of a relation on the right side.
    """

    relation: str
    subject: str
    equal: bool
    value: str
    inner: str

    @classmethod
    def read(cls, text: str) -> Statement:
        """The statement written in `text`.

        Raises:
            ValueError: If the text is no statement.

        Example:
            >>> Statement.read("at(a)!=at(b)").inner
            'b'
        """
        match = _STATEMENT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not of the form relation(subject)=value")
        relation, subject, sign, value, inner = match.groups()
        return cls(relation, subject, sign == "=", value, inner or "")


class World:
    """Everything that is true now.

    Example:
        >>> world = World()
        >>> world.make(Statement.read("with(x)=a"), {"x": "kite", "a": "Mira"})
        >>> world.complaint(Statement.read("with(x)=b"), {"x": "kite", "b": "Omar"})
        'with(kite) is Mira, not Omar'
    """

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], str] = {}

    def get(self, relation: str, subject: str) -> str | None:
        """The value of a relation for a subject, or None if nothing was said about it."""
        return self._values.get((relation, subject))

    def set(self, relation: str, subject: str, value: str) -> None:
        """Make a fact true; the relation's former value ends."""
        self._values[relation, subject] = value

    def copy(self) -> World:
        """A world in the same state that changes on its own."""
        other = World()
        other._values = dict(self._values)
        return other

    def facts(self) -> tuple[Fact, ...]:
        """All facts that hold now, sorted."""
        return tuple(sorted(Fact(*key, value) for key, value in self._values.items()))

    def complaint(self, needed: Statement, names: Mapping[str, str]) -> str | None:
        """What is wrong if an event that needs this statement happens now, or None.

        A statement with "=" needs a known, equal value; one with "!=" fails only if both are
        known and equal.
        """
        subject = names.get(needed.subject, needed.subject)
        have = self.get(needed.relation, subject)
        wanted = self._value(needed, names)
        if needed.equal and (have is None or have != wanted):
            return f"{needed.relation}({subject}) is {have or 'unknown'}, not {wanted or 'known'}"
        if not needed.equal and have is not None and have == wanted:
            return f"{needed.relation}({subject}) is {have} already"
        return None

    def make(self, effect: Statement, names: Mapping[str, str]) -> None:
        """Let an effect come true; one whose value is unknown changes nothing."""
        value = self._value(effect, names)
        if value is not None:
            self.set(effect.relation, names.get(effect.subject, effect.subject), value)

    def _value(self, statement: Statement, names: Mapping[str, str]) -> str | None:
        if statement.inner:
            return self.get(statement.value, names.get(statement.inner, statement.inner))
        return names.get(statement.value, statement.value)
