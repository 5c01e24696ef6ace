"""The queue between the server and the worker: a table in a file of SQLite."""

import os
import sqlite3

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
    cursor = connect().execute("INSERT INTO jobs (seconds) VALUES (?)", [seconds])
    return cursor.lastrowid


def state(number: int) -> str:
    """Return `waiting`, `running` or `done`."""
    row = connect().execute("SELECT state FROM jobs WHERE number = ?", [number]).fetchone()
    return row[0] if row else "unknown"


def take(queue: sqlite3.Connection) -> tuple[int, float] | None:
    """Mark the oldest waiting job as running and return its number and length."""
    return queue.execute(
        "UPDATE jobs SET state = 'running' WHERE number ="
        " (SELECT min(number) FROM jobs WHERE state = 'waiting') RETURNING number, seconds"
    ).fetchone()


def finish(queue: sqlite3.Connection, number: int) -> None:
    """Mark a job as done."""
    queue.execute("UPDATE jobs SET state = 'done' WHERE number = ?", [number])
