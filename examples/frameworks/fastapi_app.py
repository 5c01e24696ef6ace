"""A FastAPI application whose requests take time: `uvicorn fastapi_app:app`."""

import asyncio
import os
import time

from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse

SECONDS = float(os.environ.get("SECONDS", "1.5"))
app = FastAPI()


@app.get("/slow")
async def slow() -> str:
    """Answer when the work is done."""
    await asyncio.sleep(SECONDS)
    return "finished"


@app.get("/thread")
def thread() -> str:
    """Answer when the work is done, which a thread does."""
    time.sleep(SECONDS)
    return "finished"


@app.get("/later")
async def later(tasks: BackgroundTasks) -> str:
    """Answer at once, and do the work after that."""
    tasks.add_task(background)
    return "accepted"


async def background() -> None:
    """Say when the work is done."""
    await asyncio.sleep(SECONDS)
    print("background task: done", flush=True)


@app.get("/stream")
async def stream() -> StreamingResponse:
    """Send a line now and then, for as long as the client listens."""
    return StreamingResponse(lines())


async def lines():  # noqa: ANN201 - what it yields is what it says
    """Yield lines for ever."""
    while True:
        yield "a line\n"
        await asyncio.sleep(0.1)
