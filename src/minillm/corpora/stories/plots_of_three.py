"""Four more plots, in which people travel, race and quarrel.

Book: chapter "Pretraining".
"""

from __future__ import annotations

from minillm.corpora.stories.tale import Tale
from minillm.corpora.stories.vocabulary import PREPOSITION, article


def quarrel(t: Tale) -> str:
    """Two want the same toy, and a third finds a way."""
    a, x = t.person(), t.thing("toy")
    t.begin(a, t.place())
    b = t.friend(a)
    t.happen("bothwant", a, b, x)
    t.happen("quarrel", a, b, x)
    c = t.meet(a)
    t.happen("judge", c, a, b, x)
    t.happen("turn", b, a, x)
    t.happen("pass", b, a, x)
    t.happen("thank", a, c)
    return f"{a} and {b} quarrelled over {article(x)} until {c} made them take turns."


def race(t: Tale) -> str:
    """Who stops to help cannot win, and gets the prize all the same."""
    a, x, q = t.person(), t.thing("treasure"), t.place()
    t.begin(a, t.place())
    b, c = t.friend(a), t.friend(a)
    t.happen("race", a, b, c, q)
    t.happen("fall", b)
    t.happen("stop", a, b)
    t.happen("win", c, q, x)
    t.happen("together", a, b, q)
    t.happen("prize", c, a, x)
    t.happen("thank", a, c)
    return f"{c} won the race but gave the {x} to {a}, who had helped {b}."


def traveller(t: Tale) -> str:
    """Somebody who is lost is shown the way and says thank you with a present."""
    a, x, q = t.person(), t.thing(t.either("keepsake", "cloth")), t.place()
    t.begin(a, t.place())
    b = t.meet(a)
    t.happen("hasthing", b, x)
    t.happen("strayed", b, q, a)
    t.happen("lead", a, b, q)
    t.happen("thank", b, a)
    t.happen("reward", b, a, x)
    return f"{a} showed {b} the way to the {q} and got {article(x)} for it."


def errand(t: Tale) -> str:
    """A parcel must be delivered although the road is closed."""
    a, x, p, q, c = t.person(), t.thing("parcel"), t.place(), t.place(), t.person()
    t.begin(a, p)
    b = t.meet(a)
    t.happen("send", b, a, x, c, q)
    t.happen("blocked", a, q)
    t.happen("detour", a, q)
    t.happen("deliver", a, c, x)
    t.happen("thank", c, a)
    return f"{a} brought {c} {article(x)} from {b} {PREPOSITION[q]} the {q}."
