"""The errors that end pyinit before the child runs; their texts are for users."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class RefusalError(Exception):
    """The request is not possible; the text says why, and what to do."""


class StartError(RefusalError):
    """The child cannot be started."""


class PrctlError(RefusalError):
    """A prctl call has failed; the text is the reason."""


class InspectionError(RefusalError):
    """A process cannot be inspected."""


class UsageError(Exception):
    """The command line or the environment is wrong.

    Attributes:
        word: the wrong word as it was written; empty if a word is missing.
        place: the option or variable that the word was given to; empty if there is none.
        within: the whole word, if ``word`` is one of several short options in it.
        expected: what would have been right; without word and place, the whole sentence.
        known: the right words; the message suggests the one that is most like ``word``.
    """

    def __init__(
        self,
        word: str,
        expected: str,
        *,
        place: str = "",
        within: str = "",
        known: "Iterable[str]" = (),
    ) -> None:
        """Keep the parts; ``usage.sentence`` joins them."""
        super().__init__(word, expected)
        self.word = word
        self.expected = expected
        self.place = place
        self.within = within
        self.known = tuple(known)
