"""The HTTP server of a live report: it shows the report's files, and nothing else.

A page of another site must not read results through the browser of whoever looks at
them: neither by a name that it points at this machine (DNS rebinding), nor in a frame.
A client that sends nothing, or leaves, does not disturb others.
"""

from __future__ import annotations

import errno
import socket
import socketserver
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, cast

from learned_optimization.baselines.report.build import PAGE
from learned_optimization.baselines.report.page import content_security_policy
from learned_optimization.errors import LoptError
from learned_optimization.text import said

PROGRESS = "progress"
"""The file that says what is still to come."""

_TYPES = {
    PROGRESS: "application/json",
    "html": "text/html",
    "json": "application/json",
    "csv": "text/csv",
    "tex": "text/plain",
}
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_NOT_OF_THIS_MACHINE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_SECONDS_OF_SILENCE = 10.0
_SECONDS_IN_ALL = 60.0
_MOST_BYTES_IGNORED = 1 << 20


class Files(Protocol):
    """What is served: `LiveReport` is it."""

    version: str
    files: dict[str, str]


def make_server(live: Files, port: int, host: str = "127.0.0.1") -> ThreadingHTTPServer:
    """Return an HTTP server of a live report; `serve_forever` starts it.

    It answers requests for its own names alone: `localhost`, the loopback addresses,
    `host`, and where it listens beyond this machine, the machine's name and the
    address that was asked.

    Args:
      live: the report.
      port: where it listens; 0 for any that is free.
      host: the address it listens at, also of IPv6, or a name: all addresses of this
        machine that it stands for. By default nobody outside of this machine reaches
        it.

    Raises:
      LoptError: if the port is taken, or the address is not this machine's.
    """
    host = host.removeprefix("[").removesuffix("]")
    try:
        return _listen(live, host, port)
    # Names and numbers that are none are other errors than addresses of others.
    except (OSError, OverflowError, TypeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or said(error)
        raise LoptError(
            f"cannot listen at {host}:{port}: {reason}. Choose another port, "
            "or a host that is an address of this machine."
        ) from None


def address_of(server: ThreadingHTTPServer, host: str) -> str:
    """Return the address of the page, as a browser takes it."""
    return f"http://{_in_address(host)}:{server.server_address[1]}/"


def _in_address(host: str) -> str:
    bare = host.removeprefix("[").removesuffix("]").partition("%")[0]
    return f"[{bare}]" if ":" in bare else bare


def _listen(live: Files, host: str, port: int) -> _Server:
    """Return a server that listens at each of the addresses a host stands for."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    servers, problems = list[_Server](), list[OSError]()
    for family, address in dict.fromkeys((f[0], f[4]) for f in found):
        if servers:
            # If any port was good, this is the one.
            address = (address[0], servers[0].server_address[1], *address[2:])
        try:
            servers.append(_Server(live, host, family, address))
        except OSError as error:
            # A name may stand for an address of IPv6 where there is none.
            if error.errno not in _NOT_OF_THIS_MACHINE:
                for server in servers:
                    server.server_close()
                raise
            problems.append(error)
    if not servers:
        raise problems[0]
    servers[0].others = servers[1:]
    return servers[0]


class _Server(ThreadingHTTPServer):
    """A server at one address, which starts and ends those at `others` with it."""

    def __init__(
        self, live: Files, host: str, family: socket.AddressFamily, address: Any
    ):
        self.live = live
        self.others: list[_Server] = []
        self.address_family = family
        self._names = {name.lower() for name in (*_LOOPBACK, _in_address(host))}
        super().__init__(address, _Handler)

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Run until `shutdown`, at the other addresses too."""
        for other in self.others:
            threading.Thread(
                target=other.serve_forever, args=(poll_interval,), daemon=True
            ).start()
        try:
            super().serve_forever(poll_interval)
        finally:
            for other in self.others:
                other.shutdown()

    def server_close(self) -> None:
        """Close the sockets."""
        for server in self.others:
            server.server_close()
        super().server_close()

    def server_bind(self) -> None:
        # That of HTTP servers asks the name service who this is, and may wait for it.
        socketserver.TCPServer.server_bind(self)

    def is_own_name(self, asked: str, reached_at: str) -> bool:
        """Return whether a `Host` header names this server, at whatever port.

        A tunnel may lead here from another one.

        Args:
          asked: the header.
          reached_at: this machine's address of the connection. As a number, it cannot
            be a name that somebody else points here.
        """
        name, separator, _ = asked.rpartition(":")
        if not separator or name.endswith(":") or asked.endswith("]"):
            name = asked
        names = self._names | {_in_address(reached_at), socket.gethostname().lower()}
        return name.lower().removesuffix(".") in names

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Whoever leaves before the answer is there is no error of this program.
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    timeout = _SECONDS_OF_SILENCE

    @property
    def _server(self) -> _Server:
        return cast(_Server, self.server)

    def handle(self) -> None:
        # One that sends a byte now and then is not silent, and has to end too.
        end = threading.Timer(_SECONDS_IN_ALL, self._hang_up)
        end.daemon = True
        end.start()
        try:
            super().handle()
        finally:
            end.cancel()

    def _hang_up(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def do_GET(self) -> None:
        asked = self.headers.get_all("Host") or []
        reached_at = self.connection.getsockname()[0]
        if len(asked) != 1:
            self.send_error(HTTPStatus.BAD_REQUEST, "one Host header is needed")
        elif not self._server.is_own_name(asked[0].strip(), reached_at):
            self.send_error(
                HTTPStatus.MISDIRECTED_REQUEST,
                "this server answers to its own address alone",
            )
        else:
            self._show(self.path.split("?")[0].strip("/") or PAGE)

    def do_HEAD(self) -> None:
        self.do_GET()

    def __getattr__(self, name: str) -> Callable[[], None]:
        # http.server looks for a method of this name for each method of HTTP.
        if name.startswith("do_"):
            return self._refuse_method
        raise AttributeError(name)

    def _refuse_method(self) -> None:
        self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)

    def _show(self, name: str) -> None:
        # At any moment there may be other files.
        files = self._server.live.files
        if name == "version":
            self._answer(HTTPStatus.OK, self._server.live.version, "text/plain")
        elif name in files:
            kind = _TYPES[name.rsplit(".", 1)[-1]]
            self._answer(HTTPStatus.OK, files[name], kind)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def send_error(
        self, code: int, message: str | None = None, explain: str | None = None
    ) -> None:
        """Write an error as the answer, in plain text."""
        status = HTTPStatus(code)
        text = f"{status.value} {message or status.phrase}\n"
        self._answer(status, text, "text/plain")
        self._ignore_the_rest()

    def _answer(self, status: HTTPStatus, text: str, kind: str) -> None:
        body = text.encode()
        self.close_connection = True
        # Else what looks like a request of HTTP 0.9 would get a body alone.
        self.request_version = self.protocol_version
        self.send_response(status, status.phrase)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", content_security_policy())
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_response(self, code: int, message: str | None = None) -> None:
        """Write the first lines of an answer, without any version of a program."""
        self.send_response_only(code, message)
        self.send_header("Date", self.date_time_string())

    def _ignore_the_rest(self) -> None:
        # A connection that is closed with bytes unread takes the answer with it.
        left = _MOST_BYTES_IGNORED
        with suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(1.0)
            while left > 0 and (got := self.connection.recv(1 << 16)):
                left -= len(got)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: a page asks every two seconds, which is not worth a line."""
