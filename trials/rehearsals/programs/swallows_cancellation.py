"""A task that continues when it is cancelled, because its loop catches every exception."""

import asyncio
import signal


async def poll():
    while True:
        try:
            await asyncio.sleep(3600)
        except BaseException as error:
            print("next time:", repr(error), flush=True)


async def main():
    task = asyncio.create_task(poll())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    print("ready", flush=True)
    await task


asyncio.run(main())
