"""What a thread waits for: the system call that it is in, and what that call waits on.

/proc/PID/task/TID/syscall shows the call and its arguments to a process that may trace this one.
"""

import os

from pyinit.later.memory import PAGE, Memory, UnreadableError

# System calls that may take long, with their numbers on x86_64 and aarch64 (tables of arch/*).
_CALLS = """
read 0 63, write 1 64, poll 7 -, ioctl 16 29, readv 19 65, writev 20 66, select 23 -,
msync 26 227, pause 34 -, nanosleep 35 101, connect 42 203, accept 43 202, sendto 44 206,
recvfrom 45 207, sendmsg 46 211, recvmsg 47 212, wait4 61 260, semop 65 193, msgsnd 69 189,
msgrcv 70 188, fcntl 72 25, flock 73 32, fsync 74 82, fdatasync 75 83, rt_sigtimedwait 128 137,
rt_sigsuspend 130 133, futex 202 98, io_getevents 208 4, restart_syscall 219 128,
semtimedop 220 192, clock_nanosleep 230 115, epoll_wait 232 -, mq_timedsend 242 182,
mq_timedreceive 243 183, waitid 247 95, openat 257 56, pselect6 270 72, ppoll 271 73, splice 275 76,
epoll_pwait 281 22, accept4 288 242, preadv 295 69, recvmmsg 299 243, open 2 -, close 3 57,
io_uring_enter 426 426, epoll_pwait2 441 441, futex_waitv 449 449, clone 56 220, vfork 58 -,
clone3 435 435, execve 59 221, stat 4 -, lstat 6 -, newfstatat 262 79, statx 332 291,
getdents64 217 61, unlinkat 263 35, sync 162 81, exit_group 231 94
"""
RUNS = "nothing, it is running"  # what it waits for
ON_DESCRIPTOR = {
    "read", "write", "readv", "writev", "preadv", "ioctl", "connect", "accept", "accept4", "sendto",
    "recvfrom", "sendmsg", "recvmsg", "recvmmsg", "fcntl", "flock", "fsync", "fdatasync", "splice",
    "close", "getdents64",
}  # fmt: skip
ON_PATH = {"open": 0, "stat": 0, "lstat": 0, "execve": 0, "openat": 1, "newfstatat": 1, "statx": 1}
ON_POLLED = {"poll", "ppoll"}
ON_SELECTED = {"select", "pselect6"}
ON_EPOLL = {"epoll_wait", "epoll_pwait", "epoll_pwait2"}
# The column of each machine in that table. Newer machines use the numbers of aarch64.
COLUMNS = {"x86_64": 1, "aarch64": 2, "riscv64": 2, "loongarch64": 2}
LOWEST_STACK = 1 << 32  # of a 64-bit program; a 32-bit one has other call numbers
MOST_TOLD = 3
MOST_POLLED = 4096
MOST_SELECTED = 1024  # FD_SETSIZE
MOST_CHARACTERS = 256  # of a path
FOREVER = float("inf")
MOST_BYTES = 1 << 20  # of a table of sockets
LISTENING, CONNECTED = "0A", "01"  # in /proc/net/tcp (include/net/tcp_states.h)
ADDRESSES, LAST_PORT = {4, 16}, 65535  # bytes of an address, by IPv4 and by IPv6
P_ALL, P_PID, P_PGID, P_PIDFD = range(4)  # for waitid


class Wait:
    """What a thread waits for.

    Attributes:
        call: the name of the system call, or its number; empty if it is running or unknown.
        on: what the call waits on, in words; empty if there is nothing to say.
        pid: the child that it waits for; 0 for any child, None if it waits for none.
        is_running: whether the thread is running.
    """

    __slots__ = ("call", "is_running", "on", "pid")

    def __init__(self, call: str = "", on: str = "", pid: int | None = None) -> None:
        """Keep them."""
        self.call, self.on, self.pid = call, on, pid
        self.is_running = False

    def __str__(self) -> str:
        """Return it in words, for the log."""
        if self.is_running:
            return RUNS
        return f"{self.call} on {self.on}" if self.on else self.call


def of(pid: int, tid: int) -> Wait:
    """Return what a thread waits for. Never raises: what is unknown is empty."""
    words = _text(f"/proc/{pid}/task/{tid}/syscall").split()
    if not words:
        return Wait(_text(f"/proc/{pid}/task/{tid}/wchan").strip("0"))
    if words[0] == "running":
        found = Wait()
        found.is_running = True
        return found
    try:
        number = int(words[0])
        arguments = [int(word, 16) for word in words[1:]]  # and the stack, and the instruction
    except ValueError:
        return Wait()
    if number < 0 or len(arguments) < 8 or arguments[6] < LOWEST_STACK:  # noqa: PLR2004 - proc(5)
        return Wait(_text(f"/proc/{pid}/task/{tid}/wchan").strip("0"))  # a page fault?
    call = _names().get(number, f"system call {number}")
    return Wait(call, _on(pid, call, arguments), _child(pid, call, arguments))


def _names() -> dict[int, str]:
    column = COLUMNS.get(os.uname().machine)
    if column is None:
        return {}
    rows = [row.split() for row in _CALLS.split(",")]
    return {int(row[column]): row[0] for row in rows if row[column] != "-"}


def _child(pid: int, call: str, arguments: list[int]) -> int | None:
    if call == "wait4":
        child = arguments[0] & 0xFFFF_FFFF
        return 0 if child >> 31 else child  # negative: any child, or any of a group
    if call == "waitid":
        if arguments[0] == P_PIDFD:
            return _of_pidfd(pid, arguments[1])
        return arguments[1] if arguments[0] == P_PID else 0
    return None


def _of_pidfd(pid: int, descriptor: int) -> int:
    """Return the pid of the process that a pidfd refers to; 0 if unknown."""
    return max([0, *_numbers(pid, descriptor, "Pid:")])


def _numbers(pid: int, descriptor: int, key: str) -> list[int]:
    """Return the number after a key in each line of /proc/PID/fdinfo/FD that has it."""
    found = []
    for line in _text(f"/proc/{pid}/fdinfo/{descriptor}").splitlines():
        if line.startswith(key):
            try:
                found.append(int(line.split()[1]))
            except (IndexError, ValueError):  # this kernel has another format
                continue
    return found


def _on(pid: int, call: str, arguments: list[int]) -> str:
    if call in ON_DESCRIPTOR:
        return describe(pid, arguments[0])
    if call in ON_POLLED:
        return _all(pid, _polled(pid, arguments[0], arguments[1]))
    if call in ON_SELECTED:
        return _all(pid, _selected(pid, arguments[1], arguments[0]))
    if call in ON_EPOLL:
        return _all(pid, _numbers(pid, arguments[0], "tfd:"))
    return _path_at(pid, arguments[ON_PATH[call]]) if call in ON_PATH else ""


def _path_at(pid: int, address: int) -> str:
    """Return the path at an address; empty if there is none."""
    count = min(MOST_CHARACTERS, PAGE - address % PAGE)  # the next page may not be mapped
    raw, is_whole, _ = _memory(pid, address, count).partition(b"\0")
    return raw.decode("utf-8", "backslashreplace") + ("" if is_whole else "...") if raw else ""


def _memory(pid: int, address: int, count: int) -> bytes:
    try:
        memory = Memory(pid, FOREVER)  # one read never takes long
        try:
            return memory.read(address, count)
        finally:
            memory.close()
    except UnreadableError:
        return b""


def _polled(pid: int, address: int, count: int) -> list[int]:
    """Return the descriptors of an array of `struct pollfd`, 8 bytes each."""
    if not 0 < count <= MOST_POLLED:
        return []
    raw = _memory(pid, address, 8 * count)
    return [int.from_bytes(raw[at : at + 4], "little") for at in range(0, len(raw), 8)]


def _selected(pid: int, address: int, count: int) -> list[int]:
    """Return the descriptors of an `fd_set`, one bit each."""
    count = min(count, MOST_SELECTED)
    raw = int.from_bytes(_memory(pid, address, (count + 7) // 8), "little") if address else 0
    return [descriptor for descriptor in range(count) if raw >> descriptor & 1]


def _all(pid: int, descriptors: list[int]) -> str:
    told = [describe(pid, each) for each in descriptors[:MOST_TOLD]]
    more = len(descriptors) - len(told)
    return ", ".join(filter(None, told)) + (f" and {more} more" if more else "")


def describe(pid: int, descriptor: int) -> str:
    """Say in words what a descriptor of a process is; empty if unknown."""
    try:
        target = os.readlink(f"/proc/{pid}/fd/{descriptor & 0xFFFF_FFFF}")
    except OSError:
        return ""
    kind, _, inode = target.partition(":[")
    if kind == "socket":
        return _socket(pid, inode.rstrip("]"))
    if kind == "pipe":
        return "a pipe"
    if target == "anon_inode:[pidfd]":
        return f"pid {_of_pidfd(pid, descriptor) or '?'}"
    return target.removeprefix("anon_inode:").strip("[]")


def _socket(pid: int, inode: str) -> str:
    for name in ("tcp", "tcp6", "udp", "udp6"):
        fields = _row(f"/proc/{pid}/net/{name}", inode)
        if len(fields) > 9 and fields[9] == inode:  # noqa: PLR2004 - proc_net_tcp.rst
            if fields[3] == LISTENING:
                return f"socket that listens on {_address(fields[1])}"
            return f"socket {_address(fields[2])}" if fields[3] == CONNECTED else "a socket"
    fields = _row(f"/proc/{pid}/net/unix", inode)
    if len(fields) > 6 and fields[6] == inode:  # noqa: PLR2004 - proc(5)
        return f"socket {fields[7]}" if fields[7:] else "a unix socket without a name"
    return "a socket"


def _row(path: str, inode: str) -> list[str]:
    """Return the first row of a table that has this inode as a field; empty if there is none."""
    text = _text(path, MOST_BYTES)
    at = text.find(f" {inode} ")
    if at < 0:
        at = text.find(f" {inode}\n")
    return text[text.rfind("\n", 0, at) + 1 :].partition("\n")[0].split() if at >= 0 else []


def _address(word: str) -> str:
    """Return an address of /proc/net/tcp in the usual notation."""
    host, _, port = word.partition(":")
    try:
        raw = bytes.fromhex(host)
        words = [raw[at : at + 4][::-1] for at in range(0, len(raw), 4)]
        number = int(port, 16)
    except ValueError:
        return "?"
    if len(raw) not in ADDRESSES or number > LAST_PORT:
        return "?"
    if len(words) == 1:
        return ".".join(str(byte) for byte in words[0]) + f":{number}"
    from socket import AF_INET6, inet_ntop

    text = inet_ntop(AF_INET6, b"".join(words))
    of_ipv4 = text.removeprefix("::ffff:")
    return f"{of_ipv4}:{number}" if "." in text and of_ipv4 != text else f"[{text}]:{number}"


def _text(path: str, count: int = 4096) -> str:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts, left = [], count
            while left > 0 and (part := os.read(file, left)):
                parts.append(part)
                left -= len(part)
        finally:
            os.close(file)
    except OSError:
        return ""
    return b"".join(parts).decode("utf-8", "backslashreplace")
