"""A server on raw sockets that sends exactly the bytes of its script and keeps the requests; calls that must end."""

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, Self
from unittest import mock
from urllib.parse import parse_qs, urlsplit

CERTIFICATE = Path(__file__).with_name("loopback.pem")
"""A certificate for 127.0.0.1 and api.test that is not trusted, with its key, until 2120."""
EXPIRED = CERTIFICATE.with_name("expired.pem")
"""The same, until 2021."""


class Do(Enum):
    """What a reply may hold besides bytes."""

    PAUSE = auto()
    HANG = auto()
    CLOSE = auto()
    RESET = auto()
    START_TLS = auto()


@dataclass(frozen=True)
class Request:
    """A request as it came in, header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)


def reply(body: Any = b"", status: int = 200, **headers: str) -> bytes:
    """A whole HTTP response; a body that is not bytes or text is sent as JSON, header names take `_` for `-`."""
    text = body if isinstance(body, bytes | str) else json.dumps(body)
    content = text if isinstance(text, bytes) else text.encode()
    fields = {"Content-Length": str(len(content))} | {name.replace("_", "-"): text for name, text in headers.items()}
    head = [f"HTTP/1.1 {status} Any Phrase", *(f"{name}: {text}" for name, text in fields.items())]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + content


def success(data: Any, **others: Any) -> bytes:
    return reply({"success": True, "data": data, **others})


def outcome_of(call: Callable[[], Any]) -> Any:
    """What a call returns or raises; the test fails if the call does not end in 5 s."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(call())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(5)
    assert results, "the call did not end"
    return results[0]


def interrupted() -> Any:
    """Interrupt, within a `with` block, the reading of a response, as Ctrl-C does."""
    return mock.patch("urllib3.HTTPResponse.stream", side_effect=KeyboardInterrupt)


class ScriptedServer:
    """Respond to each request with the next of its replies, the last one again and again.

    A reply is bytes, or an iterable of bytes and `Do`.
    """

    def __init__(
        self, *replies: bytes | Iterable[bytes | Do], tls: bool = False, certificate: Path = CERTIFICATE
    ) -> None:
        self.replies = list(replies)
        self.requests: list[Request] = []
        self._tls, self._certificate = tls, certificate
        self.closed = threading.Event()
        """Whether a client has closed a connection."""
        self._stopped = threading.Event()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            connection.close()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls:
                connection = _with_tls(connection, self._certificate)
            self._open.add(connection)
            while (request := _read_request(connection)) is not None:
                self.requests.append(request)
                script = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                for piece in [script] if isinstance(script, bytes) else script:
                    if piece is Do.START_TLS:
                        self._open.discard(connection)
                        connection = _with_tls(connection, self._certificate)
                        self._open.add(connection)
                    elif not self._perform(piece, connection):
                        return
            self.closed.set()
        except (OSError, ValueError):
            pass
        finally:
            self._open.discard(connection)
            connection.close()

    def _perform(self, piece: bytes | Do, connection: socket.socket) -> bool:
        """Whether the connection stays open."""
        if isinstance(piece, bytes):
            connection.sendall(piece)
        elif piece is Do.RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif piece is not Do.CLOSE:
            self._stopped.wait(0.005 if piece is Do.PAUSE else None)
        return piece not in (Do.RESET, Do.CLOSE) and not self._stopped.is_set()


class FreshPages:
    """A reply with a page of one order that was not on any page before, of a list without end."""

    def __init__(self) -> None:
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        self.count += 1
        yield success({"items": [{"_id": f"id{self.count}"}], "pagination": {"totalPages": 10**11}})


def _read_request(connection: socket.socket) -> Request | None:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            return None
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    method, target, _ = first.split(" ")
    return Request(method, target, headers, body)


def _with_tls(connection: socket.socket, certificate: Path) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context.wrap_socket(connection, server_side=True)
