"""Real programs: how they are started, asked and listened to."""

import http.client
import socket
from pathlib import Path

import pytest

from testkit.namespaces import ROOT
from testkit.programs import PYINIT, tool
from testkit.running import Run

PROGRAMS = Path(__file__).parent / "programs"

# What is slow comes from another server, which a test plays.
NGINX_CONF = """\
daemon off;
worker_processes 2;
error_log stderr notice;
pid nginx.pid;
{user}
events {{}}
http {{
    access_log /dev/stderr;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen unix:{folder}/http;
        root {folder};
        location /slow {{
            proxy_pass http://unix:{folder}/upstream;
        }}
    }}
}}
"""


def prepare_nginx(folder: Path) -> list[str]:
    """Nginx with a master and two workers, which serve files."""
    user = "" if ROOT else "user root;"  # the namespace has no other
    (folder / "index.html").write_text("hello from nginx\n")
    (folder / "nginx.conf").write_text(NGINX_CONF.format(folder=folder, user=user))
    return [tool("nginx"), "-e", "stderr", "-p", str(folder), "-c", "nginx.conf"]


def prepare_redis(folder: Path) -> list[str]:
    """Redis, which saves its data when it stops."""
    where = ["--port", "0", "--unixsocket", f"{folder}/redis", "--dir", str(folder)]
    return [tool("redis-server"), *where, "--save", "3600 1"]


def prepare_gunicorn(folder: Path) -> list[str]:
    """Gunicorn with a master and two workers."""
    config = f"{PROGRAMS}/wsgi.py"
    return [installed("gunicorn"), "--config", config, "--bind", f"unix:{folder}/http"]


def installed(name: str) -> str:
    """Return the path of a program that pip has installed beside pyinit."""
    return tool(str(Path(PYINIT).with_name(name)))


def connect(path: Path) -> socket.socket:
    """Connect to a unix socket."""
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(str(path))
    return connected


def http_request(folder: Path, target: str = "/") -> http.client.HTTPConnection:
    """Send a request to the server of a folder."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = connect(folder / "http")
    connection.request("GET", target)
    return connection


def http_answer(connection: http.client.HTTPConnection) -> str:
    """Wait for the answer to the request that was sent."""
    response = connection.getresponse()
    with connection.sock or response:
        return f"{response.status} {response.read().decode()}"


def ask_http(folder: Path) -> str:
    """Get the first page."""
    return http_answer(http_request(folder))


def wait_for(run: Run, *texts: str) -> None:
    """Wait for lines with these texts, in that order and others between them."""
    lines = []
    for text in texts:
        for line in run.process.stdout:
            lines.append(line.decode())
            if text in lines[-1]:
                break
        else:
            pytest.fail(f"it ended without {text!r}:\n{''.join(lines)}")
