"""Twelve plots: each moves a world from a want over an obstacle to a consequence.

A plot draws its cast from a tale, lets the events happen in order and returns the summary.

Book: chapter "Pretraining".
"""

from __future__ import annotations

from minillm.corpora.stories.tale import INSIDE, OUTSIDE, Tale
from minillm.corpora.stories.vocabulary import PREPOSITION, article

SOIL = ("garden", "courtyard", "yard", "field", "orchard", "meadow", "park", "vineyard")
SPRINGS = ("well", "fountain", "riverbank", "waterfall")
SHOPS = ("market", "workshop", "fairground", "square", "station", "museum", "gallery", "village")
STAGES = ("theatre", "hall", "school", "square", "park", "village", "stadium", "inn")


def lost(t: Tale) -> str:
    """A keepsake is lost, and somebody has seen it."""
    a, x, p, q = t.person(), t.thing("keepsake"), t.place(), t.place()
    t.begin(a, p)
    t.happen("own", a, x)
    t.happen("lose", a, x)
    t.happen("search", a, x, t.spot(p))
    b = t.meet(a)
    t.happen("askseen", a, b, x)
    t.happen("tell", b, a, x, q)
    t.happen("go", a, q)
    t.happen("find", a, x, t.spot(q))
    t.happen("back", a, p)
    t.happen("thank", a, b)
    return f"{a} lost {article(x)}, and {b} knew where it was."


def borrowed(t: Tale) -> str:
    """A broken thing is mended with a borrowed tool."""
    a, y, x, p, q = t.person(), t.thing("mendable"), t.thing("tool"), t.place(INSIDE), t.place()
    t.begin(a, p)
    t.happen("damaged", a, y)
    t.happen("need", a, x, y)
    t.happen("go", a, q)
    b = t.meet(a)
    t.happen("offer", b, a, x)
    t.happen("askfor", a, b, x)
    t.happen("lend", b, a, x)
    t.happen("mend", a, y, x)
    t.happen("return", a, b, x)
    t.happen("thank", a, b)
    return f"{a} mended {article(y)} with {article(x)} that {b} lent."


def broken(t: Tale) -> str:
    """Somebody breaks a friend's thing, owns up and is forgiven."""
    a, x = t.person(), t.thing("fragile")
    t.begin(a, t.place(INSIDE))
    b = t.friend(a)
    t.happen("show", b, a, x)
    t.happen("wanthold", a, x)
    t.happen("letold", b, a, x)
    t.happen("drop", a, x)
    t.happen("sorry", a, b, x)
    t.happen("glue", a, x)
    t.happen("giveback", a, b, x)
    t.happen("forgive", b, a, x)
    return f"{a} broke {b}'s {x}, told the truth and mended it."


def rescue(t: Tale) -> str:
    """An animal cannot get down, and a ladder must be found."""
    a, x, y, p, q = t.person(), t.thing("pet"), t.thing("climb"), t.place(OUTSIDE), t.place()
    t.begin(a, p)
    t.happen("stuck", a, x, t.high_spot())
    t.happen("tooshort", a, y, x)
    t.happen("go", a, q)
    b = t.meet(a)
    t.happen("offer", b, a, y)
    t.happen("askfor", a, b, y)
    t.happen("lend", b, a, y)
    t.happen("back", a, p)
    t.happen("rescue", a, x, y)
    c = t.meet(a)
    t.happen("claim", c, x, a)
    t.happen("giveback", a, c, x)
    t.happen("thank", c, a)
    return f"{a} rescued {article(x)} with {article(y)} and gave it back to {c}."


def birthday(t: Tale) -> str:
    """A present is sold out in one place and found in another."""
    a, x, b = t.person(), t.thing(t.either("toy", "cloth")), t.person()
    p, q, r = t.place(SHOPS), t.place(SHOPS), t.place()
    t.begin(a, t.place())
    t.happen("plan", a, b, x)
    t.happen("go", a, p)
    t.happen("soldout", a, x)
    t.happen("go", a, q)
    c = t.meet(a)
    t.happen("sell", c, x, a)
    t.happen("buy", a, c, x)
    t.happen("go", a, r)
    t.happen("await", b, a)
    t.happen("gift", a, b, x)
    t.happen("glad", b, x)
    t.happen("thank", b, a)
    return f"{a} bought {article(x)} from {c} for {b}'s birthday."


def lunch(t: Tale) -> str:
    """A hungry friend gets half, and gives something back."""
    a, x, y = t.person(), t.thing("food"), t.thing("toy")
    t.begin(a, t.place())
    t.happen("own", a, x)
    b = t.friend(a)
    t.happen("forgot", b)
    t.happen("share", a, b, x)
    t.happen("eatboth", b, a, x)
    t.happen("thank", b, a)
    t.happen("lendplay", b, a, y)
    return f"{a} shared {article(x)} with {b}, who had no lunch."


def storm(t: Tale) -> str:
    """Rain spoils a game, until somebody helps and the sun comes out."""
    a, x, p = t.person(), t.thing("toy"), t.place(OUTSIDE)
    t.begin(a, p)
    t.happen("own", a, x)
    t.happen("wishplay", a, x)
    t.happen("rain", a, x)
    t.happen("run", a, t.place(INSIDE))
    b = t.meet(a)
    t.happen("dry", b, a, x)
    t.happen("sun")
    t.happen("thank", a, b)
    t.happen("back", a, p)
    t.happen("play", a, x)
    return f"Rain made {a}'s {x} wet, and {b} dried it."


def trade(t: Tale) -> str:
    """Two swaps lead to the thing that was wanted."""
    a, x, y = t.person(), t.thing("keepsake"), t.thing("toy")
    z, p, q = t.thing("cloth"), t.place(), t.place()
    t.begin(a, p)
    t.happen("own", a, x)
    b = t.meet(a)
    t.happen("hasthing", b, y)
    t.happen("desire", a, y, b)
    t.happen("price", b, y, z, a)
    t.happen("go", a, q)
    c = t.meet(a)
    t.happen("hasprice", c, z, x, a)
    t.happen("swap", a, c, x, z)
    t.happen("back", a, p)
    t.happen("swap", a, b, z, y)
    t.happen("glad", a, y)
    return f"{a} swapped {article(x)} for {article(z)} and that for {article(y)}."


def surprise(t: Tale) -> str:
    """A cake is hidden, and the guest comes too early."""
    a, x, p, b = t.person(), t.thing("cake"), t.place(INSIDE), t.person()
    t.begin(a, p)
    t.happen("bake", a, x, b)
    spot = t.spot(p)
    t.happen("hide", a, x, spot)
    t.happen("arrive", b, a)
    t.happen("guess", b, x, t.spot(p))
    t.happen("reveal", a, b, x, spot)
    t.happen("eat", b, a, x)
    t.happen("thank", b, a)
    return f"{a} hid {article(x)} and surprised {b} with it."


def garden(t: Tale) -> str:
    """A seed does not grow until water is fetched."""
    a, x, y, p = t.person(), t.thing("plant"), t.thing("container"), t.place(SOIL)
    t.begin(a, p)
    b = t.meet(a)
    t.happen("seed", b, a, x)
    t.happen("plant", a, x)
    t.happen("thank", a, b)
    t.happen("drought", x)
    t.happen("take", a, y)
    t.happen("go", a, t.place(SPRINGS))
    t.happen("fill", a, y)
    t.happen("back", a, p)
    t.happen("water", a, x, y)
    t.happen("grow", x)
    t.happen("visit", t.person(), a, x)
    return f"{a} planted a seed from {b} and watered it until {article(x)} grew."


def lesson(t: Tale) -> str:
    """Somebody learns to play."""
    a, x, q = t.person(), t.thing("instrument"), t.place(STAGES)
    t.begin(a, t.place())
    t.happen("wantlearn", a, x)
    b = t.meet(a)
    t.happen("teach", b, a, x)
    t.happen("practise", a, x)
    t.happen("thank", a, b)
    t.happen("go", a, q)
    t.happen("perform", a, x)
    return f"{b} taught {a} to play the {x}, and {a} played {PREPOSITION[q]} the {q}."


def locked(t: Tale) -> str:
    """A box is locked, and somebody else has the key."""
    a, x, y, p = t.person(), t.thing("chest"), t.thing("keepsake"), t.place()
    t.begin(a, p)
    t.happen("locked", a, x)
    t.happen("nokey", a, x, t.spot(p))
    t.happen("go", a, t.place())
    b = t.meet(a)
    t.happen("key", b, a, x)
    t.happen("open", a, x, y)
    t.happen("thank", a, b)
    return f"{b} had the key to {a}'s {x}, and {article(y)} was inside."
