"""Text from outside, made safe to show, of which every character takes one column.

A wide character takes two columns of a terminal, so a filler follows it until :func:`plain` removes
that. In between ``len``, slices and ``str.ljust`` count columns.
"""

import textwrap
from unicodedata import category, east_asian_width, normalize

from pyinit.later.plain import shown

FILLER = "\0"  # which shown() leaves in no text
WIDE = frozenset("WF")
# Vowels and final consonants of Hangul, that take no column of their own, and what is a filler.
JAMO = range(0x115F, 0x1200)


def safe(text: str) -> str:
    """Return it without what moves a cursor, and with a filler behind each wide character."""
    text = shown(normalize("NFC", text.expandtabs()))
    return text if text.isascii() else "".join(map(_safe_character, text))


def _safe_character(character: str) -> str:
    if category(character).startswith("M") or ord(character) in JAMO:
        return ascii(character)[1:-1]
    return character + FILLER if east_asian_width(character) in WIDE else character


def plain(text: str) -> str:
    """Return it without fillers, as it is to be written."""
    return text.replace(FILLER, "")


def cut(text: str, width: int) -> str:
    """Return as much of it as fits into so many columns."""
    if len(text) <= width:
        return text
    begin = text[: max(0, width - 1)]
    if text[len(begin)] == FILLER:  # half of a character is none
        begin = begin[:-1]
    return begin + "…"[:width]


def wrapped(text: str, width: int) -> list[str]:
    """Return it as lines of so many columns at most, at least one line."""
    # One column less, because a line may break between a wide character and its filler.
    found = textwrap.wrap(text, width - 1, break_on_hyphens=False)
    return [line.removeprefix(FILLER) for line in found] or [""]
