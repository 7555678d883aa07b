"""GPT-2's way to write any bytes as printable characters, and the order of the 256 byte tokens.

Vocabulary files are text, so each byte needs a visible character. Printable Latin-1 bytes stand for
themselves; the other 68 get the characters from U+0100 on, so that a space is written Ġ. The ids
of the single bytes follow the order of these characters, as in GPT-2's own vocabulary.

Source: Radford et al. (2019), the published encoder of GPT-2.
Book: chapter "From text to tokens".
"""

from __future__ import annotations

_VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_HIDDEN = [byte for byte in range(256) if byte not in set(_VISIBLE)]

BYTE_ORDER: tuple[int, ...] = (*_VISIBLE, *_HIDDEN)
"""The byte of each of the ids 0 to 255."""

_TO_CHARACTER = {
    **{byte: chr(byte) for byte in _VISIBLE},
    **{byte: chr(0x100 + i) for i, byte in enumerate(_HIDDEN)},
}
_TO_BYTE = {character: byte for byte, character in _TO_CHARACTER.items()}


def to_printable(token: bytes) -> str:
    """Write bytes in printable characters.

    Example:
        >>> to_printable(" né".encode())
        'ĠnÃ©'

    Book: chapter "From text to tokens".
    """
    return "".join([_TO_CHARACTER[byte] for byte in token])


def from_printable(text: str) -> bytes:
    """Read bytes that `to_printable` wrote.

    Raises:
        ValueError: If a character stands for no byte.

    Book: chapter "From text to tokens".
    """
    try:
        return bytes([_TO_BYTE[character] for character in text])
    except KeyError as error:
        raise ValueError(f"{error.args[0]!r} in token {text!r} stands for no byte") from None
