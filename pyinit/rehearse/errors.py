"""Why a stop could not be rehearsed."""


class NotRehearsedError(Exception):
    """A stop could not be rehearsed; the text says why, and what to do.

    Attributes:
        output: the last lines that the command wrote.
    """

    def __init__(self, text: str, output: list[str] | None = None) -> None:
        """Keep the text and the output."""
        super().__init__(text)
        self.output = output or []


class MissingLibraryError(NotRehearsedError):
    """The library for drawings is not installed."""

    def __init__(self) -> None:
        """Say how to install it."""
        super().__init__("--svg and --html need drawsvg, which is missing: pip install drawsvg")
