"""Ask the cgroup whether memory ran out. Nothing here raises where there is no cgroup."""

ROOT = "/sys/fs/cgroup"


def kills() -> int | None:
    """Return how many processes of pyinit's cgroup the kernel has killed for want of memory.

    None where nobody tells: no memory controller, or no /sys/fs/cgroup. Version 1 counts since
    Linux 4.13 (memory.oom_control), version 2 in memory.events, with the groups below.
    """
    try:
        for path in _counters():
            found = _oom_kill(path)
            if found is not None:
                return found
    except Exception:  # noqa: BLE001 - no memory for this, say, when memory ran out
        pass
    return None


def _counters() -> list[str]:
    found = []
    with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            if "memory" in controllers.split(","):
                found += _places(f"{ROOT}/memory", path, "memory.oom_control")
            elif not controllers:
                found += _places(ROOT, path, "memory.events")
    return found


def _places(mount: str, path: str, name: str) -> list[str]:
    # In a container the mount is often the own group already, while the path is the host's.
    return [f"{mount}{path.rstrip('/')}/{name}", f"{mount}/{name}"]


def _oom_kill(path: str) -> int | None:
    try:
        with open(path, "rb") as file:
            words = file.read().split()
        return int(words[words.index(b"oom_kill") + 1])
    except (OSError, ValueError, IndexError):
        return None
