"""The queue between the server and the worker: a table in an SQLite file."""

import os
import sqlite3
from contextlib import closing

PATH = os.environ.get("JOBS", "jobs.db")


def connect() -> sqlite3.Connection:
    """Open the queue; each statement is a transaction of its own."""
    queue = sqlite3.connect(PATH, isolation_level=None, timeout=30)
    queue.execute(
        "CREATE TABLE IF NOT EXISTS jobs"
        " (number INTEGER PRIMARY KEY, seconds REAL, state TEXT DEFAULT 'waiting')"
    )
    return queue


def add(seconds: float) -> int:
    """Add a job and return its number."""
    with closing(connect()) as queue:
        (row,) = queue.execute(
            "INSERT INTO jobs (seconds) VALUES (?) RETURNING number", [seconds]
        ).fetchall()
    return int(row[0])


def state(number: int) -> str:
    """Return `waiting`, `running`, `done`, or `unknown`."""
    with closing(connect()) as queue:
        rows = queue.execute("SELECT state FROM jobs WHERE number = ?", [number]).fetchall()
    return str(rows[0][0]) if rows else "unknown"


def take(queue: sqlite3.Connection) -> tuple[int, float] | None:
    """Mark the oldest waiting job as running; return its number and how long it takes."""
    rows = queue.execute(
        "UPDATE jobs SET state = 'running' WHERE number ="
        " (SELECT min(number) FROM jobs WHERE state = 'waiting') RETURNING number, seconds"
    ).fetchall()
    return (int(rows[0][0]), float(rows[0][1])) if rows else None


def finish(queue: sqlite3.Connection, number: int) -> None:
    """Mark a job as done."""
    queue.execute("UPDATE jobs SET state = 'done' WHERE number = ?", [number])
