"""What a summary of a story claims, and whom and what it mentions.

A plot returns its summary in one fixed form (`plots`, `plots_of_three`). `read_summary` goes the
other way: from a line in that form to its facts. `mentions` reads any text, in whatever words,
but sees less: the people, things and places of the world that stand in it, not who did what.

Book: chapter "Summaries and long text".
"""

from __future__ import annotations

import re
from functools import cache

from minillm.corpora.stories.vocabulary import KIND, PREPOSITION, PRONOUN
from minillm.corpora.stories.world import Fact

FORMS = {
    "lost": "{loser} lost {a thing}, and {helper} knew where it was.",
    "borrowed": "{mender} mended {a thing} with {a tool} that {lender} lent.",
    "broken": "{breaker} broke {owner}'s {thing}, told the truth and mended it.",
    "rescue": "{rescuer} rescued {a pet} with {a tool} and gave it back to {owner}.",
    "birthday": "{buyer} bought {a present} from {seller} for {friend}'s birthday.",
    "lunch": "{giver} shared {a food} with {hungry}, who had no lunch.",
    "storm": "Rain made {owner}'s {thing} wet, and {helper} dried it.",
    "trade": "{trader} swapped {a first} for {a second} and that for {a third}.",
    "surprise": "{host} hid {a cake} and surprised {guest} with it.",
    "garden": "{gardener} planted a seed from {giver} and watered it until {a plant} grew.",
    "lesson": "{teacher} taught {pupil} to play the {instrument}, and {again} played {stage}.",
    "locked": "{helper} had the key to {owner}'s {chest}, and {a content} was inside.",
    "quarrel": "{first} and {second} quarrelled over {a toy} until {judge} made them take turns.",
    "race": "{winner} won the race but gave the {prize} to {kind}, who had helped {fallen}.",
    "traveller": "{guide} showed {lost} the way to the {goal} and got {a reward} for it.",
    "errand": "{carrier} brought {receiver} {a parcel} from {sender} {address}.",
}
"""Plot -> its summary; a slot is a role, with "a" before a thing that takes an article."""
_SLOT = re.compile(r"\{(a )?(\w+)\}")
_WORD = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")
_PLACES = ("stage", "address")  # roles whose words begin with a preposition: "in the barn"


def read_summary(text: str) -> frozenset[Fact]:
    """The facts that a summary in the form of its plot claims; none if it has no such form.

    Each role of the plot is a relation: `Fact("lunch", "giver", "Rania")`. Two summaries claim
    the same if and only if they have the same plot and the same value in each role.

    Raises:
        ValueError: If `text` is no text.

    Example:
        >>> for fact in sorted(read_summary("Rania shared a peach with Taha, who had no lunch.")):
        ...     print(fact)
        lunch(food) = peach
        lunch(giver) = Rania
        lunch(hungry) = Taha

    Book: chapter "Summaries and long text".
    """
    _check(text)
    line = " ".join(text.split())
    for plot, pattern in _patterns().items():
        match = pattern.fullmatch(line)
        if match and match.groupdict().get("again") in (None, match.groupdict().get("pupil")):
            found = {role: value for role, value in match.groupdict().items() if role != "again"}
            return frozenset(Fact(plot, role, value) for role, value in found.items())
    return frozenset()


def mentions(text: str) -> frozenset[str]:
    """The people, things and places of the world that stand in a text.

    Names count with their capital, things and places in any case, both as whole words. A word
    with two senses ("watch", "stable") is taken for the thing or the place.

    Raises:
        ValueError: If `text` is no text.

    Example:
        >>> sorted(mentions("In the barn Rania had a peach, and she was kind to Sindbad."))
        ['Rania', 'barn', 'peach']

    Book: chapter "Summaries and long text".
    """
    _check(text)
    words = _WORD.findall(text)
    people = {word for word in words if word in PRONOUN}
    return frozenset(people | ({word.lower() for word in words} & (set(KIND) | set(PREPOSITION))))


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {plot: _pattern(form) for plot, form in FORMS.items()}


def _pattern(form: str) -> re.Pattern[str]:
    """The form as a regular expression, one named group a role."""
    pieces, end = [], 0
    for match in _SLOT.finditer(form):
        article, role = match.groups()
        value = r"(?:at|in|on) the \w+" if role in _PLACES else r"[A-Za-z]+(?:-[A-Za-z]+)*"
        pieces += [re.escape(form[end : match.start()]), "an? " if article else ""]
        pieces.append(f"(?P<{role}>{value})")
        end = match.end()
    return re.compile("".join(pieces) + re.escape(form[end:]))


def _check(text: object) -> None:
    if not isinstance(text, str):
        raise ValueError(f"text must be a str, got {type(text).__name__}")
