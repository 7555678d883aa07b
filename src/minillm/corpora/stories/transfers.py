"""Who gave what to whom: sentences of stories with the roles that the world knows.

Book: chapter "Extracting facts".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from minillm.corpora.stories.events import Event
from minillm.corpora.stories.story import Story
from minillm.corpora.stories.truth import check

# The parameters of an event that are the giver, the thing and the receiver.
ROLES = {
    "deliver": "axc",
    "gift": "axb",
    "giveback": "axb",
    "lend": "bxa",
    "pass": "bxa",
    "prize": "cxa",
    "return": "axb",
    "reveal": "axb",
    "reward": "bxa",
}


class Transfer(NamedTuple):
    """A few sentences, in the last of which somebody gives something to somebody.

    Attributes:
        text: the sentences.
        giver: a name that stands in the text.
        thing: the noun alone, without article and adjective.
        receiver: a name that stands in the text.
        kind: the event of the world.
    """

    text: str
    giver: str
    thing: str
    receiver: str
    kind: str


def transfers(told: Iterable[Story], *, before: int = 2) -> list[Transfer]:
    """The transfers in stories that speak of everybody by name or in the third person.

    Args:
        told: stories.
        before: sentences in front of the transfer that belong to the text.

    Returns:
        In order, without repetitions; those whose giver, thing or receiver is not named in the
        text are left out.

    Raises:
        ValueError: If `before` is negative.

    Example:
        >>> from minillm.corpora.stories import tell
        >>> found = transfers(tell(3, i) for i in range(40))
        >>> found[0].giver in found[0].text
        True

    Book: chapter "Extracting facts".
    """
    if before < 0:
        raise ValueError(f"before={before} must be >= 0")
    found: dict[str, Transfer] = {}
    for story in told:
        if story.style in {"diary", "letter"}:
            continue
        readings = check(story.text).readings
        for i, reading in enumerate(readings):
            if reading.event is not None and reading.event.kind in ROLES:
                text = " ".join(r.text for r in readings[max(0, i - before) : i + 1])
                _keep(found, text, reading.event)
    return list(found.values())


def _keep(found: dict[str, Transfer], text: str, event: Event) -> None:
    giver, thing, receiver = (event.names.get(role, "") for role in ROLES[event.kind])
    if all(name and name in text for name in (giver, thing, receiver)):
        found.setdefault(text, Transfer(text, giver, thing, receiver, event.kind))
