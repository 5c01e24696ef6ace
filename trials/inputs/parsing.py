"""The same words for the parser itself: very many, because no process is started."""

import os

from pyinit.before import cli
from pyinit.before import usage
from pyinit.before.errors import UsageError
from pyinit.settings import Settings
from trials.inputs.trial import LONGEST_LINE, must
from trials.inputs.words import Case


def parse(case: Case) -> str:
    """Parse; return the outcome in a word, as `Trial.run` does.

    Raises:
        OutcomeError: an error is not a printable sentence, or the command is not the end of the
            words.
    """
    words = [os.fsdecode(word) for word in case.words]
    entries = [os.fsdecode(entry).partition("=") for entry in case.environment]
    try:
        # If a name is there twice, the first counts, for Python as for getenv(3).
        wish = cli.parse(words, {name: value for name, joint, value in reversed(entries) if joint})
    except UsageError as error:
        sentence = usage.sentence(error)
        must(sentence.isprintable(), f"this sentence is not printable: {sentence!r}")
        must(len(sentence) <= LONGEST_LINE, f"this sentence is too long: {sentence!r}")
        return "one line"
    if isinstance(wish, Settings):
        is_end = words[-len(wish.command) :] == list(wish.command)
        must(is_end, f"this is not the command: {wish.command!r}")
        return "a command"
    return "a page"
