"""As much of FastCGI as it takes to ask php-fpm for a page."""

import struct
from pathlib import Path

from applications import connect

BEGIN_REQUEST, PARAMS, STDIN, STDOUT = 1, 4, 5, 6
RESPONDER = 1
HEADER = struct.Struct("!BBHHBx")  # version, type, request, length of the content, of the padding


def record(kind: int, content: bytes = b"") -> bytes:
    return HEADER.pack(1, kind, 1, len(content), 0) + content


def pair(name: str, value: str) -> bytes:
    lengths = (len(name) | 1 << 31, len(value) | 1 << 31)
    return struct.pack("!II", *lengths) + name.encode() + value.encode()


class Request:
    """A request that was sent; its answer is yet to be read."""

    def __init__(self, address: Path, script: Path, query: str) -> None:
        """Ask for a page: a script run with a query."""
        variables = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": f"/{script.name}",
            "SCRIPT_FILENAME": str(script),
            "REQUEST_URI": f"/{script.name}",
            "QUERY_STRING": query,
        }
        self._socket = connect(address)
        self._socket.sendall(
            record(BEGIN_REQUEST, struct.pack("!HB5x", RESPONDER, 0))
            + record(PARAMS, b"".join(pair(*variable) for variable in variables.items()))
            + record(PARAMS)
            + record(STDIN)
        )

    def answer(self) -> str:
        """Wait for the page, without its headers."""
        page = b""
        with self._socket.makefile("rb") as stream:
            while header := stream.read(HEADER.size):
                _, kind, _, length, padding = HEADER.unpack(header)
                content = stream.read(length + padding)[:length]
                if kind == STDOUT:
                    page += content
        if not page:
            raise ConnectionResetError
        return page.partition(b"\r\n\r\n")[2].decode()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
