"""An event loop that continues to await after SIGTERM."""

import asyncio
import signal


async def consume(jobs):
    while True:
        await jobs.get()  # HERE


async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
    print("ready", flush=True)
    await consume(asyncio.Queue())


asyncio.run(main())
