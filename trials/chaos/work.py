"""Run plans, several at a time, in worker processes."""

import argparse
import itertools
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

from trials.chaos import proc
from trials.chaos.check import failures
from trials.chaos.plan import make
from trials.chaos.run import execute
from trials.chaos.seen import Seen

Outcome = tuple[Seen, list[str]]


def outcomes(wish: argparse.Namespace, actor: str) -> Iterator[tuple[int, Outcome]]:
    """Yield what each seed led to; several run at a time."""
    end = None if wish.seconds is None else time.monotonic() + wish.seconds
    seeds = itertools.islice(itertools.count(wish.seed), wish.runs)
    running: dict[Future[Outcome], int] = {}
    # A worker has no children except those of its run, and is their subreaper.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(wish.jobs, context, initializer=proc.adopt_orphans) as pool:
        while True:
            while len(running) < wish.jobs and (end is None or time.monotonic() < end):
                seed = next(seeds, None)
                if seed is None:
                    break
                running[pool.submit(attempt, seed, actor, wish.init)] = seed
            if not running:
                return
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(done), done.result()


def attempt(seed: int, actor: str, init: str) -> Outcome:
    """Run the plan of a seed; return what happened and what was wrong with it."""
    seen = execute(make(seed), actor, init)
    return seen, failures(seen)
