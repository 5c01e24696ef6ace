"""The coroutines have ended, and asyncio.run() waits for a thread of its pool."""

import asyncio
import signal
import threading


def compute():
    threading.Event().wait()  # HERE


async def main():
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.run_in_executor(None, compute)
    print("ready", flush=True)
    await stop.wait()


asyncio.run(main())
