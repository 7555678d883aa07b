"""The table of artefacts that the book uses: small open models and texts, each fully named.

Every row says what the artefact is, under which licence, who made it, and in which Python package
exactly these bytes are published. `hub.fetch` gets them. Left out on purpose: anything
without a clear owner, and anything stored as a pickle.

Book: chapter "A GPT, and the real thing".
"""

from minillm.errors import did_you_mean
from minillm.hub.artefacts.models import MODELS
from minillm.hub.artefacts.row import Artefact, Member
from minillm.hub.artefacts.texts import TEXTS

__all__ = ["ARTEFACTS", "Artefact", "Member", "find"]

ARTEFACTS: dict[str, Artefact] = {row.name: row for row in (*MODELS, *TEXTS)}


def find(name: str) -> Artefact:
    """The row of the table called `name`, or a ValueError that suggests the nearest names."""
    if name in ARTEFACTS:
        return ARTEFACTS[name]
    raise ValueError(f"no artefact is called {name!r}; {did_you_mean(name, ARTEFACTS, most=3)}")
