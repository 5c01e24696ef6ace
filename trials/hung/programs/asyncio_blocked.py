"""A coroutine blocks the event loop, so that the loop cannot run its signal handler."""

import asyncio
import signal
import time


async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
    print("ready", flush=True)
    while True:
        time.sleep(600)  # HERE


asyncio.run(main())
