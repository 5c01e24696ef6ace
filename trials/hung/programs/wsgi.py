"""An application whose page takes for ever."""

import threading


def application(environ, start_response):
    print("ready", flush=True)
    threading.Event().wait()  # HERE
