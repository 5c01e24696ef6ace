"""A Flask application whose requests take time: `gunicorn flask_app:app`."""

import os
import time

from flask import Flask

app = Flask(__name__)


@app.get("/slow")
def slow() -> str:
    """Answer when the work is done."""
    time.sleep(float(os.environ.get("SECONDS", "1.5")))
    return "finished\n"
