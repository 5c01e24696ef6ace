"""All hostile surroundings: `make survive` tries every init in them, the tests try pyinit."""

from trials.survive.case import Case, Surrounding
from trials.survive.later import LATER
from trials.survive.limits import LIMITS
from trials.survive.places import PLACES
from trials.survive.words import WORDS

SIGNALS = (
    Surrounding("every signal is ignored", (Case(prefix=("env", "--ignore-signal")),)),
    Surrounding("every signal is blocked", (Case(prefix=("env", "--block-signal")),)),
    Surrounding(
        "every signal is ignored and blocked",
        (Case(prefix=("env", "--ignore-signal", "--block-signal")),),
    ),
)

REST = (
    Surrounding("nice 19", (Case(prefix=("nice", "-n", "19"), mute=True),)),
    Surrounding("oom_score_adj: 1000", (Case(setup="echo 1000 >/proc/self/oom_score_adj"),)),
    Surrounding(
        "a time namespace of its own",
        (Case(namespaces=("--time", "--monotonic", "100000", "--boottime", "1000000")),),
    ),
)

SURROUNDINGS = (*PLACES, *WORDS, *SIGNALS, *LIMITS, *REST, *LATER)
