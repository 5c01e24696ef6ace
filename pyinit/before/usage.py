"""The help page and others, and the sentence that says what is wrong with the command line."""

import os
from difflib import get_close_matches
from select import POLLOUT, poll

from pyinit import __version__
from pyinit.before.errors import RefusalError, UsageError

STDOUT, STDERR = 1, 2
LONGEST_WORD = 200
LONGEST_LINE = 60  # that is taken apart for a hint
LONGEST_SENTENCE = 900  # short enough for one write to a pipe
PATIENCE_MILLISECONDS = 1000
LIKE_A_VALUE, LIKE_AN_OPTION = 0.6, 0.75  # from 0 to 1 (difflib): below, no guess

# Options of other inits, and words that users may guess.
GUESSES = {
    "--expect": "-e",
    "--exit-code": "-e",
    "--forward-all": "--all",
    "--grace": "--drain",
    "--grace-period": "--drain",
    "--explain": "--explain-after",
    "--group": "-g",
    "--kill-process-group": "-g",
    "--kill": "--kill-after",
    "--leaks": "--leftovers",
    "--licence": "-l",
    "--license": "-l",
    "--log": "--log-format",
    "--log-level": "-v",
    "--parent-death-signal": "-p",
    "--pdeathsig": "-p",
    "--process-group": "-g",
    "--quiet": "PYINIT_VERBOSITY=0",
    "--silent": "PYINIT_VERBOSITY=0",
    "--stop-timeout": "--kill-after",
    "--subreaper": "-s",
    "--time-limit": "--timeout",
    "--verbose": "-v",
    "--verbosity": "-v",
    "--warn": "-w",
    "--warn-on-reap": "-w",
    "-?": "--help",
    "-q": "PYINIT_VERBOSITY=0",
}

HELP = """\
Usage: pyinit [OPTION]... [--] COMMAND [ARG]...
       pyinit --inspect[=PID] [--json]

Run COMMAND, the child, below a small init for containers. pyinit forwards
signals to the child, reaps zombies, gives processes that the child leaves
behind time to finish, and exits with the child's exit code. Options end at the
first word that is not an option.

  -d, --drain SECONDS
                 when the child has exited, send SIGTERM to the processes that
                 it left behind, wait this long, then send SIGKILL (default: 5;
                 0: exit at once) (PYINIT_DRAIN)
  -t, --timeout SECONDS
                 when COMMAND has run this long, ask it to stop, as SIGTERM
                 would, and exit with 124 (default: 0, never); implies -k 10 if
                 there is no -k (PYINIT_TIMEOUT)
  -k, --kill-after SECONDS
                 send SIGKILL if the child still runs this long after the first
                 SIGTERM, SIGINT or SIGQUIT; with -g or -a, to every process
                 that gets signals (default: 0, never) (PYINIT_KILL_AFTER)
  -k SIGNAL:SECONDS,...,KILL
                 send the first SIGNAL in place of that signal, and the next one
                 when SECONDS are over, for example INT:5,TERM:5,ABRT:2,KILL
  --explain-after SECONDS
                 if the child still runs this long after the first request to
                 stop, log a warning that says why (default: 5, or half of -k if
                 that is less; 0: never) (PYINIT_EXPLAIN_AFTER);
                 PYINIT_STACKS=0: never read the stack of a Python process
  -r, --rewrite FROM:TO
                 forward TO in place of FROM; if TO is 0, forward nothing;
                 repeatable (PYINIT_REWRITE=FROM:TO,FROM:TO)
  -g             forward signals to the child's whole process group
                 (PYINIT_KILL_PROCESS_GROUP=1)
  -a, --all      forward signals to every process in the container, or, when
                 pyinit is not PID 1, to every process below it
                 (PYINIT_FORWARD_ALL=1)
  --no-group, --no-all
                 turn off -g or -a if a variable has turned it on
  -e CODE        exit with 0 if the exit code would be CODE (0-255); repeatable
  --leftovers CODE
                 exit with CODE if the exit code would be 0, but the child left
                 processes behind; log their names (default: 0, do not look)
                 (PYINIT_LEFTOVERS)
  -p SIGNAL      get SIGNAL when the parent process of pyinit exits, and forward
                 it
  -s             adopt orphans although pyinit is not PID 1 (be a subreaper);
                 pyinit does this without -s as well (PYINIT_SUBREAPER=1)
  -w             log a warning for each orphan that is reaped, with its name
  -v             log more; repeatable: -v adds starts, signals and exits, -vv
                 each orphan (PYINIT_VERBOSITY=N: 0 errors, 1 warnings, 2 info,
                 3 debug; default: 1)
  --log-format auto|console|json
                 auto, the default, is console on a terminal, and elsewhere one
                 JSON object a line (PYINIT_LOG_FORMAT)
  --inspect[=PID]
                 start nothing; show what happens to each signal that is sent to
                 PID (default: 1) from inside its PID namespace and from outside
  --json         with --inspect: for machines
  --termination-log PATH
                 at the end, write to PATH what went wrong, if anything did: how
                 COMMAND ended, and which processes were killed and why; by
                 default, as PID 1, to /dev/termination-log if that is a file
                 (PYINIT_TERMINATION_LOG)
  -l             print the licence
  -h, --help     print this page
  -V, --version  print the version

TINI_SUBREAPER, TINI_VERBOSITY and TINI_KILL_PROCESS_GROUP work as well. A
signal is written TERM, SIGTERM, term, 15 or RTMIN+3.

Exit code: the child's; 128+N if signal N killed it; 124 if the time of -t was
over, 137 if that took SIGKILL; 127 if COMMAND is not found, 126 if it cannot be
run; 1 if pyinit could not start. The log goes to stderr.

In a Dockerfile:
  ENTRYPOINT ["pyinit", "--"]
  CMD ["gunicorn", "app:app"]
"""

LICENCE = """\
MIT License

Copyright (c) 2026 the pyinit authors

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""

OTHERS = """
pyinit uses structlog (MIT or Apache-2.0). It loads python-prctl, which is
GPL-3.0-or-later, only if that is installed, and either pyinit is not PID 1 or
-p is given.
"""


def show(page: str) -> int:
    """Write a page to stdout; return the exit code."""
    pages = {"help": HELP, "version": f"pyinit {__version__}\n", "licence": LICENCE + OTHERS}
    return put(pages[page])


def put(text: str) -> int:
    """Write a text to stdout; return the exit code."""
    try:
        _write(STDOUT, text)
    except OSError as error:
        _complain(f"cannot write to stdout: {error.strerror}")
        return 1
    return 0


def complain(error: BaseException) -> int:
    """Write one line to stderr that says why nothing was started; return the exit code."""
    if isinstance(error, UsageError):
        text = sentence(error)
    elif isinstance(error, RefusalError):
        text = str(error)
    else:
        text = f"internal error, nothing was started: {error!r}"
    _complain(text)
    if os.getpid() == 1:
        _leave_word(text)
    return 1


def _leave_word(text: str) -> None:
    """Write it to the termination log as well: see ``later.last_words``."""
    try:
        from pyinit.later import last_words

        last_words.put(last_words.USUAL, f"pyinit: {text}\n", 0.0)
    except Exception:  # noqa: BLE001 - then the line is only on stderr
        pass


def sentence(error: UsageError) -> str:
    """Say which word is wrong, what was expected, and which right word is most like it."""
    word = _quote(error.word)
    if not error.word:
        return f"{error.place}: expected {error.expected}" if error.place else error.expected
    if error.place:
        joint = " " if error.place.startswith("-") else "="
        what = f"{error.place}{joint}{word}: expected {error.expected}"
    else:
        within = f" in {_quote(error.within)}" if error.within else ""
        what = f"{word}{within} is not {error.expected}"
    if not error.known or error.place:
        guess = nearest(error.word, error.known)
        return f"{what}; did you mean {guess}?" if guess else what
    first, *others = error.word.split()
    if others and len(error.word) <= LONGEST_LINE:
        return f"{what}; write the words separately: {_quote(first)}, {_quote(others[0])}"
    guess = nearest_option(error.word, error.known)
    return f"{what}; did you mean {guess}?" if guess else f"{what}; pyinit --help lists all options"


def nearest_option(word: str, known: tuple[str, ...]) -> str:
    """Return the option that a wrong word may mean; empty if no option is like it.

    A typing error changes a letter, rarely the first one. A word that differs more is another word.
    """
    folded = _folded(word)
    alike = [right for right in (*known, *GUESSES) if _may_be_slip(folded, _folded(right))]
    guess = nearest(word, tuple(alike), LIKE_AN_OPTION)
    return GUESSES.get(guess, guess)


def _may_be_slip(word: str, right: str) -> bool:
    return word[:1] == right[:1] and abs(len(word) - len(right)) <= 1


def nearest(word: str, known: tuple[str, ...], likeness: float = LIKE_A_VALUE) -> str:
    """Return the one of ``known`` that is most like ``word``; empty if none is like it.

    Dashes at the front do not count, because they would make any two options alike.
    """
    folded = {_folded(right): right for right in reversed(known)}
    close = get_close_matches(_folded(word).removeprefix("sig"), folded, n=1, cutoff=likeness)
    return folded[close[0]] if close else ""


def _folded(word: str) -> str:
    return word[:LONGEST_WORD].casefold().lstrip("-")


def _quote(word: str) -> str:
    quoted = ascii(word) if not word.isprintable() else repr(word)
    return quoted if len(quoted) <= LONGEST_WORD else quoted[:LONGEST_WORD] + "...'"


def _complain(text: str) -> None:
    try:
        ready = poll()
        ready.register(STDERR, POLLOUT)
        if ready.poll(PATIENCE_MILLISECONDS):  # if no process reads it, only the code tells
            _write(STDERR, f"pyinit: {_shortened(text)}\n")
    except OSError:
        pass  # stderr is closed


def _shortened(text: str) -> str:
    half = LONGEST_SENTENCE // 2
    return text if len(text) <= LONGEST_SENTENCE else f"{text[:half]}...{text[-half:]}"


def _write(descriptor: int, text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(descriptor, data) :]
