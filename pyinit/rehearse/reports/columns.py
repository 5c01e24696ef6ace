"""Text from outside, made safe to show, in which every character counts as one column.

A wide character takes two columns of a terminal, so :func:`safe` adds a filler after it. Then
``len``, slices and ``str.ljust`` count columns. :func:`plain` removes the fillers.
"""

import textwrap
from unicodedata import category, east_asian_width, normalize

from pyinit.later.plain import shown

FILLER = "\0"  # which no result of shown() contains
WIDE = frozenset("WF")
# Vowels, final consonants and fillers of Hangul, which take no column of their own.
JAMO = range(0x115F, 0x1200)


def safe(text: str) -> str:
    """Return the text with escapes for what moves a cursor, and a filler after wide characters."""
    text = shown(normalize("NFC", text.expandtabs()))
    return text if text.isascii() else "".join(map(_safe_character, text))


def _safe_character(character: str) -> str:
    if category(character).startswith("M") or ord(character) in JAMO:
        return ascii(character)[1:-1]
    return character + FILLER if east_asian_width(character) in WIDE else character


def plain(text: str) -> str:
    """Return the text without fillers, ready to be written."""
    return text.replace(FILLER, "")


def cut(text: str, width: int) -> str:
    """Return the text, cut to so many columns."""
    if len(text) <= width:
        return text
    begin = text[: max(0, width - 1)]
    if text[len(begin)] == FILLER:  # do not keep half of a wide character
        begin = begin[:-1]
    return begin + "…"[:width]


def wrapped(text: str, width: int) -> list[str]:
    """Return the text as lines of at most so many columns; at least one line."""
    # One column less, because a line may break between a wide character and its filler.
    found = textwrap.wrap(text, width - 1, break_on_hyphens=False)
    return [line.removeprefix(FILLER) for line in found] or [""]
