"""What pyinit says of itself: pages, and one sentence on what is wrong. Never on the hot path."""

import os
from difflib import get_close_matches
from select import POLLOUT, poll

from pyinit import __version__
from pyinit.before.errors import RefusalError, UsageError

STDOUT, STDERR = 1, 2
LONGEST_WORD = 200
LONGEST_SENTENCE = 900  # so little that a pipe that has room takes all of it
PATIENCE_MILLISECONDS = 1000

# Words from other inits, and words that one would guess.
GUESSES = {
    "--expect": "-e",
    "--exit-code": "-e",
    "--forward-all": "--all",
    "--grace": "--drain",
    "--grace-period": "--drain",
    "--group": "-g",
    "--kill-process-group": "-g",
    "--kill": "--kill-after",
    "--licence": "-l",
    "--license": "-l",
    "--log": "--log-format",
    "--log-level": "-v",
    "--parent-death-signal": "-p",
    "--pdeathsig": "-p",
    "--process-group": "-g",
    "--stop-timeout": "--kill-after",
    "--subreaper": "-s",
    "--timeout": "--kill-after",
    "--verbose": "-v",
    "--verbosity": "-v",
    "--warn": "-w",
    "--warn-on-reap": "-w",
    "-?": "--help",
}

HELP = """\
Usage: pyinit [OPTION]... [--] COMMAND [ARG]...
       pyinit --inspect[=PID] [--json]

Run COMMAND as the one child of a small init: for PID 1 of a container. Every
signal goes on to the child, zombies are reaped, what the child leaves behind
may finish, and the exit code is the child's. Options end at the first word
that is not one.

  -d, --drain SECONDS
                 when the child has gone, send SIGTERM to what it left behind
                 and wait this long, then SIGKILL (5; 0: leave at once)
                 (PYINIT_DRAIN)
  -k, --kill-after SECONDS
                 SIGKILL for a child that lives this long after the first
                 SIGTERM, SIGINT or SIGQUIT; for all whom signals go to with
                 -g or -a (0: never) (PYINIT_KILL_AFTER)
  -r, --rewrite FROM:TO
                 forward TO in place of FROM, nothing where TO is 0; repeatable
                 (PYINIT_REWRITE=FROM:TO,FROM:TO)
  -g             forward signals to the child's whole process group
                 (PYINIT_KILL_PROCESS_GROUP=1)
  -a, --all      forward signals to every process in the container; when pyinit
                 is not PID 1 to all below it (PYINIT_FORWARD_ALL=1)
  --no-group, --no-all
                 do without what a variable of the image turned on
  -e CODE        exit with 0 where the code would be CODE (0-255); repeatable
  -p SIGNAL      get SIGNAL when the parent of pyinit dies
  -s             be a subreaper: adopt orphans although not PID 1; done anyway
                 where pyinit is not PID 1 (PYINIT_SUBREAPER=1)
  -w             warn of each orphan reaped, with its name
  -v             say more; repeatable: starts, signals and exits with -v,
                 each orphan with -vv (PYINIT_VERBOSITY=N: 0 errors, 1 warnings,
                 2 info, 3 debug)
  --log-format auto|console|json
                 auto is console on a terminal and one JSON object a line
                 elsewhere (PYINIT_LOG_FORMAT)
  --inspect[=PID]
                 run nothing: show what becomes of each signal that is sent to
                 PID (1), from inside its PID namespace and from outside
  --json         with --inspect: for machines
  -l             print the licence
  -h, --help     print this page
  -V, --version  print the version

TINI_SUBREAPER, TINI_VERBOSITY and TINI_KILL_PROCESS_GROUP work as well. A
signal is written TERM, SIGTERM, term, 15 or RTMIN+3.

Exit code: the child's; 128+N where signal N killed it; 127 where COMMAND is
not found, 126 where it cannot be run; 1 where pyinit could not start. pyinit
writes to stderr only.

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
pyinit uses structlog (MIT or Apache-2.0) and, off PID 1 or with -p, loads
python-prctl, which is GPL-3.0-or-later, where that is installed.
"""


def show(page: str) -> int:
    """Write a page to stdout; return the code to leave with."""
    pages = {"help": HELP, "version": f"pyinit {__version__}\n", "licence": LICENCE + OTHERS}
    return put(pages[page])


def put(text: str) -> int:
    """Write a text to stdout; return the code to leave with."""
    try:
        _write(STDOUT, text)
    except OSError as error:
        _complain(f"cannot write to stdout: {error.strerror}")
        return 1
    return 0


def complain(error: BaseException) -> int:
    """Write one line to stderr on why nothing was started; return the code to leave with."""
    if isinstance(error, UsageError):
        _complain(sentence(error))
    elif isinstance(error, RefusalError):
        _complain(str(error))
    else:
        _complain(f"internal error, nothing was started: {error!r}")
    return 1


def sentence(error: UsageError) -> str:
    """Say which word is wrong, what was expected, and which right word is the nearest."""
    word = _quote(error.word)
    if not error.word:
        return f"{error.place or 'no command'}: expected {error.expected}"
    if error.place:
        joint = " " if error.place.startswith("-") else "="
        what = f"{error.place}{joint}{word}: expected {error.expected}"
    else:
        within = f" in {_quote(error.within)}" if error.within else ""
        what = f"{word}{within} is not {error.expected}"
    is_option = error.known and not error.place
    guess = nearest(error.word, (*error.known, *GUESSES) if is_option else error.known)
    if guess:
        return f"{what}; did you mean {GUESSES.get(guess, guess)}?"
    return f"{what}; pyinit --help lists them" if is_option else what


def nearest(word: str, known: tuple[str, ...]) -> str:
    """Return the one of ``known`` that is most like ``word``, or nothing if none is."""
    folded = {right.casefold(): right for right in reversed(known)}
    wanted = word[:LONGEST_WORD].casefold().removeprefix("sig")
    close = get_close_matches(wanted, folded, n=1)
    return folded[close[0]] if close else ""


def _quote(word: str) -> str:
    quoted = ascii(word) if not word.isprintable() else repr(word)
    return quoted if len(quoted) <= LONGEST_WORD else quoted[:LONGEST_WORD] + "...'"


def _complain(text: str) -> None:
    try:
        ready = poll()
        ready.register(STDERR, POLLOUT)
        if ready.poll(PATIENCE_MILLISECONDS):  # where nobody reads, the code tells
            _write(STDERR, f"pyinit: {_shortened(text)}\n")
    except OSError:
        pass  # nobody listens


def _shortened(text: str) -> str:
    half = LONGEST_SENTENCE // 2
    return text if len(text) <= LONGEST_SENTENCE else f"{text[:half]}...{text[-half:]}"


def _write(descriptor: int, text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(descriptor, data) :]
