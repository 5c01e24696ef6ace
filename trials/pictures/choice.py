"""Whether a container needs an init, and which: the advice of docs/why.md, as questions."""

from dataclasses import dataclass

from trials.pictures.page import LINE, MARGIN, WIDTH, Page, Pair

QUESTION, ANSWER = 310, 214  # widths
ROOM, GAP = 14, 30  # inside a box, and below it
HEAD = 5  # of an arrow
DESCRIPTION = (
    "A tree of questions. Do you need restarts, or several services in one container? Yes: use a "
    "supervisor; pyinit can be its init. No: does your program handle SIGTERM, and leave no "
    "process behind when it exits? Yes: you need no init. No: are lost signals and zombies your "
    "only problem? Yes: use docker run --init. No: does the image have Python 3.11 or newer, and "
    "do containers live for more than milliseconds? No: use docker run --init, but what your "
    "program leaves behind is killed. Yes: use pyinit."
)


@dataclass(frozen=True)
class Answer:
    """What to use, and what to know about that."""

    use: str
    why: tuple[str, ...]

    @property
    def height(self) -> int:
        """How high its box is."""
        return LINE * (1 + len(self.why)) + 2 * ROOM - 8


@dataclass(frozen=True)
class Question:
    """A question.

    Attributes:
        lines: what is asked.
        word: yes or no; with the other one, the next question follows.
        answer: what to do after this word.
    """

    lines: tuple[str, ...]
    word: str
    answer: Answer


QUESTIONS = (
    Question(
        ("Do you need restarts, or several", "services in one container?"),
        "yes",
        Answer("a supervisor", ("pyinit can be its init",)),
    ),
    Question(
        ("Does your program handle SIGTERM,", "and leave no process behind", "when it exits?"),
        "yes",
        Answer("no init", ("your program can be PID 1",)),
    ),
    Question(
        ("Are lost signals and zombies", "your only problem?"),
        "yes",
        Answer("docker run --init", ("adds tini to any image",)),
    ),
    Question(
        (
            "Does the image have Python 3.11",
            "or newer, and do containers live",
            "for more than milliseconds?",
        ),
        "no",
        Answer("docker run --init", ("but what your program", "leaves behind is killed")),
    ),
)
PYINIT = Answer(
    "pyinit",
    ("What your program leaves behind may finish,", "and the log says what went wrong."),
)


def render() -> str:
    """Return the picture."""
    page = Page("choice", "Do I need an init?", DESCRIPTION)
    page.text("Do I need an init?", MARGIN, "ink bold large")
    page.y += LINE + 2
    page.text("An init is the first process of a container, PID 1.", MARGIN, "muted")
    page.y += 24
    for question in QUESTIONS:
        _ask(page, question)
    _tell(page, PYINIT, (MARGIN, page.y), "good")
    page.y += PYINIT.height
    return page.document()


def _ask(page: Page, question: Question) -> None:
    """Draw a question, the answer beside it, and the way to what is below."""
    height = LINE * len(question.lines) + 2 * ROOM
    middle, bottom = page.y + height / 2, page.y + height
    page.box("frame", (MARGIN, page.y), (QUESTION, height), 6)
    for number, line in enumerate(question.lines):
        page.text(line, MARGIN + ROOM, "ink", page.y + ROOM + LINE * number + 16)

    right, left = MARGIN + QUESTION, WIDTH - MARGIN - ANSWER
    page.line("arrow", (right, middle), (left, middle))
    page.line("arrow", (left - HEAD, middle - HEAD), (left, middle), (left - HEAD, middle + HEAD))
    page.text(question.word, (right + left) / 2 - 3, "ink bold small middle", middle - 7)
    _tell(page, question.answer, (left, middle - question.answer.height / 2), "empty")

    page.y = bottom + GAP
    x, y = MARGIN + QUESTION / 2, page.y
    page.line("arrow", (x, bottom), (x, y))
    page.line("arrow", (x - HEAD, y - HEAD), (x, y), (x + HEAD, y - HEAD))
    other = "no" if question.word == "yes" else "yes"
    page.text(other, x + 10, "ink bold small", bottom + GAP / 2 + 4)


def _tell(page: Page, answer: Answer, at: Pair, style: str) -> None:
    """Draw an answer, up to the right margin."""
    left, top = at
    page.box(style, at, (WIDTH - MARGIN - left, answer.height), 6)
    mono = " mono" if answer.use.startswith(("docker", "pyinit")) else ""
    page.text(answer.use, left + ROOM, f"ink bold{mono}", top + ROOM + 13)
    for number, line in enumerate(answer.why, 1):
        page.text(line, left + ROOM, "muted small", top + ROOM + LINE * number + 11)
