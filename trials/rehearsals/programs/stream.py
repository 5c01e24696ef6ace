"""An application that sends a line now and then, and a last one when it is asked to stop."""

import asyncio
import signal

stopped = asyncio.Event()


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while not stopped.is_set():
        await send({"type": "http.response.body", "body": b"a line\n", "more_body": True})
        try:
            await asyncio.wait_for(stopped.wait(), 0.2)
        except TimeoutError:
            pass
    await send({"type": "http.response.body", "body": b"finished\n"})


async def lifespan(receive, send):
    await receive()
    before = signal.getsignal(signal.SIGTERM)

    def stop(*arguments):
        asyncio.get_running_loop().call_soon_threadsafe(stopped.set)
        before(*arguments)

    signal.signal(signal.SIGTERM, stop)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
