"""Hang in C, below Python: hostile.py LIBRARY THREADS IS_GARBLING.

The library is hostile.c. THREADS more wait for a lock. If it is garbling, another thread rewrites
what the stack of this one is read from: the runtime, thread state, frames, code, names, lines.
"""

import ctypes
import signal
import sys
import threading

WORD = 8
FRAME_OF = 3 * WORD  # of a frame object, before what it stands for: the header and f_back


def ranges():
    """Return address and bytes of all that a reader of this stack comes by."""
    python = ctypes.pythonapi
    for get in (python.PyThreadState_Get, python.PyInterpreterState_Get):
        get.restype = ctypes.c_void_p
    runtime = ctypes.addressof(ctypes.c_char.in_dll(python, "_PyRuntime"))
    found = [(runtime, 768), (python.PyThreadState_Get(), 256)]
    found += [(python.PyInterpreterState_Get(), 256)]
    frame = sys._getframe(1)
    while frame:
        code = frame.f_code
        found += [(ctypes.c_void_p.from_address(id(frame) + FRAME_OF).value, 80)]
        found += [(id(code), 200)]
        for each in (code.co_filename, code.co_qualname, code.co_linetable):
            found.append((id(each), sys.getsizeof(each)))
        frame = frame.f_back
    return found


def hang(library, is_garbling):
    """Never return."""
    words = [(address, count // WORD) for address, count in ranges()]
    flat = (ctypes.c_size_t * (2 * len(words)))(*(value for pair in words for value in pair))
    library.serve(flat, len(words), is_garbling)


def work(started, held):
    """Wait for ever."""
    started.release()
    held.acquire()


def main(path, threads, is_garbling):
    """Start the threads, and hang."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2))
    started, held = threading.Semaphore(0), threading.Lock()
    held.acquire()
    for _ in range(threads):
        threading.Thread(target=work, args=(started, held), daemon=True).start()
    for _ in range(threads):
        started.acquire()
    hang(ctypes.CDLL(path), is_garbling)


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
