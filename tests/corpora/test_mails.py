"""Mails: read as a person reads them, without addresses, and no thread in two parts."""

import re

import pytest

from minillm.corpora import mails
from minillm.corpora.mails import ADDRESS, _mail

PARTS = """Subject: =?iso-8859-1?q?Two?=
 parts
Content-Type: multipart/alternative; boundary="b"
X-From: someone@example.org

not shown
--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

Y2Fmw6k=
--b
Content-Type: text/html

<p>not shown</p>
--b--
"""


def test_plain_text_comes_before_html():
    mail = _mail(PARTS, "spam-1")
    assert mail.body == "café"
    assert mail.subject == "=?iso-8859-1?q?Two?= parts"
    assert mail.headers == ("Subject", "Content-Type", "X-From")
    assert mail.spam
    assert mail.text == f"{mail.subject}\ncafé"


@pytest.mark.parametrize(
    ("head", "body", "seen"),
    [
        ("Content-Type: text/html", "<style>p {}</style><b>Buy</b>\n&lt;now&gt;", "Buy \n<now>"),
        ("Content-Type: text/plain; charset=no-such", "caf\xe9", "caf"),
        ("Content-Type: application/octet-stream", "AAAA", ""),
        ("Content-Transfer-Encoding: quoted-printable", "a=3Db=\nc", "a=bc"),
        ("Subject: x", "", ""),
        ("no header at all", "", "no header at all"),
    ],
)
def test_bodies(head, body, seen):
    mail = _mail(f"{head}\n\n{body}", "easy-ham-1")
    assert mail.body.startswith(seen)
    assert bool(mail.body) == bool(seen)
    assert not mail.spam


@pytest.mark.parametrize("address", ["a.b+c@example.org", "A_1%x=y@host", "x@a-b.co.uk"])
def test_an_address_is_masked_everywhere(address):
    mail = _mail(f"Subject: to {address}\n\nWrite to <{address}>, or {address}.", "hard-ham-1")
    assert mail.text == "to <address>\nWrite to <<address>>, or <address>."


def test_the_corpus_as_its_card_says():
    corpus = mails()
    parts = (corpus.train, corpus.validation, corpus.test)
    everything = [mail for part in parts for mail in part]
    assert len(everything) == 5628
    assert sum(mail.spam for mail in everything) == 1557
    assert str(len(corpus.test)) in corpus.card.split
    assert not any(ADDRESS.search(mail.text) for mail in everything)
    assert len({re.sub(r"\W|\d", "", mail.body.lower()) for mail in everything}) == len(everything)
    bare = [{re.sub(r"^(re: )+", "", m.subject.lower()) for m in part} for part in parts]
    assert not bare[0] & bare[2]
    assert not bare[1] & bare[2]
