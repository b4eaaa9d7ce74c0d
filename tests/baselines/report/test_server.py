"""The server of the report, byte by byte: who is answered, and with which headers."""

import contextlib
import socket
import threading
import time

import pytest

from learned_optimization.baselines.report import server as server_module
from learned_optimization.baselines.report.server import address_of, make_server
from learned_optimization.errors import LoptError

PAGE = "<!doctype html><title>ä page</title>"


class Live:
    """What is served, without any results."""

    version = "v1"

    def __init__(self):
        self.files = {
            "index.html": PAGE,
            "progress": "[]",
            "tasks.csv": "a,b\n",
            "results.json": "{}",
        }


@contextlib.contextmanager
def served(host="127.0.0.1"):
    server = make_server(Live(), 0, host)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server():
    with served() as one:
        yield one


def send(server, data):
    """What the server answers to some bytes: status line, headers and body."""
    with socket.create_connection(server.server_address[:2], 10) as client:
        client.sendall(data)
        answer = b""
        while got := client.recv(1 << 16):
            answer += got
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


def ask(server, path="/", method="GET", host=None, more=""):
    port = server.server_address[1]
    host = f"127.0.0.1:{port}" if host is None else host
    text = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"
    return send(server, text.encode())


def test_every_answer_has_the_headers_that_protect_it(server):
    for path, method in (("/", "GET"), ("/nothing", "GET"), ("/", "POST")):
        _, headers, _ = ask(server, path, method)
        assert "server" not in headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "deny"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["connection"] == "close"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        [scripts] = [p for p in policy.split("; ") if p.startswith("script-src")]
        assert "unsafe" not in scripts
        assert "access-control-allow-origin" not in headers


def test_own_names_alone_are_answered(server):
    port = server.server_address[1]
    for host in ("127.0.0.1", "localhost", "LOCALHOST", "localhost.", "[::1]"):
        # A tunnel leads here from another port, or from that of http itself.
        for asked in (f"{host}:{port}", f"{host}:{port + 1}", host):
            assert ask(server, host=asked)[0] == 200, asked
    for host in (
        f"evil.example:{port}",
        "evil.example",
        f"localhost.evil.example:{port}",
        f"evil.example#localhost:{port}",
        f"[::1].evil.example:{port}",
        f"10.0.0.7:{port}",
        f":{port}",
        f"x@localhost:{port}",
    ):
        status, _, body = ask(server, host=host)
        assert status == 421, host
        assert PAGE.encode() not in body
    one = f"Host: localhost:{port}\r\n".encode()
    for data in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + one + one + b"\r\n",
    ):
        assert send(server, data)[0] == 400


def test_an_address_beyond_this_machine_is_answered_by_its_names():
    with served("0.0.0.0") as server:
        port = server.server_address[1]
        for host in ("localhost", "127.0.0.1", socket.gethostname(), "0.0.0.0"):
            assert ask(server, host=f"{host}:{port}")[0] == 200
        assert ask(server, host=f"evil.example:{port}")[0] == 421


def test_head_is_get_without_a_body(server):
    for path in ("/", "/tasks.csv", "/nothing"):
        status, headers, body = ask(server, path)
        assert len(body) == int(headers["content-length"])
        same = ask(server, path, "HEAD")
        assert same[0] == status
        assert same[1]["content-length"] == headers["content-length"]
        assert same[2] == b""
    assert ask(server)[2] == PAGE.encode()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "X"])
def test_nothing_but_reading(server, method):
    status, headers, _ = ask(server, method=method, more="Content-Length: 0\r\n")
    assert status == 405
    assert headers["allow"] == "get, head"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret",
        "/..%2fsecret",
        "//etc/passwd",
        "/%2e%2e/index.html",
        "/./tasks.csv",
        "/index.html/..",
        "/index.html%00",
        "http://evil.example/index.html",
        "file:///etc/passwd",
        "*",
    ],
)
def test_nothing_but_its_files(server, path):
    assert ask(server, path)[0] == 404


def test_types_and_queries(server):
    for path, kind in (
        ("/", "text/html"),
        ("/index.html?x=1", "text/html"),
        ("/tasks.csv", "text/csv"),
        ("/results.json", "application/json"),
        ("/progress", "application/json"),
        ("/version", "text/plain"),
    ):
        status, headers, _ = ask(server, path)
        assert status == 200
        assert headers["content-type"] == f"{kind}; charset=utf-8"


def test_too_much_is_refused_with_an_answer(server):
    assert ask(server, "/" + "a" * 70_000)[0] == 414
    assert ask(server, more="X: " + "a" * 70_000 + "\r\n")[0] == 431
    assert ask(server, more="".join(f"X{i}: 1\r\n" for i in range(200)))[0] == 431
    assert send(server, b"nonsense\r\n\r\n")[0] == 400
    assert send(server, b"GET / HTTP/9.9.9\r\n\r\n")[0] == 400
    assert ask(server)[0] == 200


def test_silent_clients_do_not_block_others(server, monkeypatch):
    monkeypatch.setattr(server_module._Handler, "timeout", 0.5)
    silent = [socket.create_connection(server.server_address[:2]) for _ in range(8)]
    for client in silent[::2]:
        client.sendall(b"GET / HT")
    assert ask(server)[0] == 200
    for client in silent:
        client.settimeout(10)
        # The server hangs up: what comes is the end, or an error of the connection.
        with contextlib.suppress(ConnectionError):
            while client.recv(1 << 12):
                pass
        client.close()


def test_a_client_that_drips_is_hung_up(server, monkeypatch):
    monkeypatch.setattr(server_module, "_SECONDS_IN_ALL", 0.3)
    hung_up = False
    with socket.create_connection(server.server_address[:2]) as client:
        for _ in range(400):
            try:
                client.sendall(b"a")
            except ConnectionError:
                hung_up = True
                break
            time.sleep(0.02)
    assert hung_up


def test_departed_clients_leave_no_trace(monkeypatch, capfd):
    monkeypatch.setattr(Live, "version", "x" * (8 << 20))
    with served() as server:
        port = server.server_address[1]
        for data in (
            b"",
            b"GET /",
            f"GET /version HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode(),
        ):
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(data)
            # It resets the connection instead of closing it.
            linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            client.close()
        assert ask(server)[0] == 200
    assert capfd.readouterr() == ("", "")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="NO IPV6 on this machine")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_ipv6(host):
    with served(host) as server:
        port = server.server_address[1]
        assert address_of(server, host) == f"http://[::1]:{port}/"
        for name in ("[::1]", "localhost"):
            assert ask(server, host=f"{name}:{port}")[0] == 200
        assert ask(server, host=f"[::2]:{port}")[0] == 421


def answers_at(address, port):
    with contextlib.suppress(OSError), socket.create_connection((address, port), 5):
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="NO IPV6 on this machine")
def test_a_name_is_all_its_addresses(monkeypatch):
    family = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}
    found = socket.getaddrinfo

    def resolve(addresses):
        def getaddrinfo(host, port, *args, **kwargs):
            if host != "both.example":
                return found(host, port, *args, **kwargs)
            more = (0, 0)
            return [
                (
                    family[a],
                    socket.SOCK_STREAM,
                    6,
                    "",
                    (a, port, *more[: 2 * (":" in a)]),
                )
                for a in addresses
            ]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    # Named twice, as /etc/hosts may.
    for addresses in (["127.0.0.1", "::1", "::1"], ["::1", "127.0.0.1"]):
        resolve(addresses)
        with served("both.example") as server:
            port = server.server_address[1]
            assert answers_at("127.0.0.1", port)
            assert answers_at("::1", port)
            for name in ("both.example", "localhost", "[::1]"):
                assert ask(server, host=f"{name}:{port}")[0] == 200
        assert not answers_at("127.0.0.1", port)
        assert not answers_at("::1", port)
    resolve(["127.0.0.1"])
    with served("both.example") as server:
        assert not answers_at("::1", server.server_address[1])


@pytest.mark.skipif(not has_ipv6(), reason="NO IPV6 on this machine")
def test_an_address_that_another_listens_at_is_not_left_to_it(monkeypatch):
    family = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda *args, **kwargs: [
                (family[a], socket.SOCK_STREAM, 6, "", (a, port)) for a in family
            ],
        )
        with pytest.raises(LoptError, match=f"cannot listen at localhost:{port}"):
            make_server(Live(), port, "localhost")
    with socket.socket() as free:
        free.bind(("127.0.0.1", port))


def test_an_address_of_another_machine_is_done_without(monkeypatch):
    address = ("192.0.2.1", 0)
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", a)
        for a in (address, ("127.0.0.1", 0))
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    server = make_server(Live(), 0, "localhost")
    assert server.server_address[0] == "127.0.0.1"
    server.server_close()
    found.pop()
    with pytest.raises(LoptError, match="cannot listen at localhost:0"):
        make_server(Live(), 0, "localhost")
