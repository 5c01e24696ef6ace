"""What ``/proc`` says of a process, made safe to show. Nothing here raises where it is missing."""


def name(pid: int) -> str | None:
    """Return the name (comm) of ``pid``, a zombie's too; None where it cannot be read.

    It is whatever the process made of it (prctl(2), PR_SET_NAME): at most 15 bytes, any bytes.
    """
    try:
        with open(f"/proc/{pid}/comm", "rb") as comm:
            return comm.read(64).removesuffix(b"\n").decode("utf-8", "backslashreplace")
    except Exception:  # noqa: BLE001 - hidden, missing, or no memory for it: a name is not vital
        return None
