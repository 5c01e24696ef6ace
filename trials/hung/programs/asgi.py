"""An application that holds a connection open, as a stream of events does."""

import asyncio


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    print("ready", flush=True)
    await asyncio.Event().wait()  # HERE
