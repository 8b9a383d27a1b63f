"""A sandbox where ports or descriptors are short."""

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from decimal import Context, Decimal, localcontext

import pytest
from raw_http import QUIET, Caller, connect

from giftlib import SystemClock
from giftlib.cli import main
from giftlib.sandbox import Sandbox

resource = pytest.importorskip("resource")


@contextmanager
def descriptors(spare):
    """Leave the process so many descriptors that it can open."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    with ExitStack() as held:
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + 20, limits[1]))
        try:
            taken = []
            while True:
                try:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
                except OSError:
                    break
            for descriptor in taken[spare:]:
                held.callback(os.close, descriptor)
            for descriptor in taken[:spare]:
                os.close(descriptor)
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("spare", range(5))
def test_few_descriptors_at_start(tmp_path, capfd, spare):
    """A sandbox that gets too few descriptors is an OSError, immediately and without a traceback of the thread."""
    Sandbox(state=tmp_path / "state").close()
    with descriptors(spare), pytest.raises(OSError, match="Too many open files"):
        Sandbox(state=tmp_path / "state")
    with Sandbox(state=tmp_path / "state") as sandbox:
        sandbox.add_orders(1)
    assert capfd.readouterr().err == ""


def test_few_descriptors(caplog):
    """While no connection can be accepted, open ones are served and the process rests; then others are accepted."""
    with Sandbox(clock=SystemClock(), **QUIET) as sandbox, Caller(sandbox) as call, Caller(sandbox) as other:
        assert call("ping").status_code == 200
        with descriptors(1), connect(sandbox) as waiting:
            waiting.sendall(b"GET /v3/ping HTTP/1.1\r\nHost: x\r\n\r\n")
            while not caplog.records:
                assert call("ping").status_code == 200
            used = time.process_time()
            with pytest.raises(TimeoutError):
                waiting.settimeout(0.3)
                waiting.recv(1000)
            assert time.process_time() - used < 0.15
            call.session.close()
            waiting.settimeout(5)
            assert waiting.recv(1000).startswith(b"HTTP/1.1 200 OK")
        assert other("ping").status_code == 200
    assert [record.exc_info for record in caplog.records] == [None]
    assert "no connection can be accepted: [Errno 24] Too many open files" in caplog.messages


@pytest.mark.parametrize("few", [5, 6])
def test_few_descriptors_of_a_command(few):
    """The command reports too few descriptors in one line."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({few}, {few}))"
    code = f"import giftlib.cli, giftlib.sandbox, giftlib.api; {limit}; raise SystemExit(giftlib.cli.main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "sandbox", "--port", "0"], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (1, "giftlib: [Errno 24] Too many open files\n")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--port", "99999"], "port must be a whole number from 0 to 65535, got 99999"),
        (["--port", "-1"], "port must be a whole number from 0 to 65535, got -1"),
        (["--port", "0", "--host", "192.0.2.1"], "Cannot assign requested address"),
        (["--port", "0", "--host", "a..b"], "Name or service not known"),
    ],
)
def test_bad_address(capsys, options, problem):
    """An address that cannot be had is reported in one line."""
    assert main(["sandbox", *options]) == 1
    error = capsys.readouterr().err
    assert error.startswith("giftlib: ") and problem in error and error.count("\n") == 1


@contextmanager
def ordinary_user():
    user = os.geteuid()
    os.seteuid(65534 if user == 0 else user)
    try:
        yield
    finally:
        os.seteuid(user)


def test_forbidden_port(capsys):
    """A port that only the administrator may use is reported in one line."""
    with ordinary_user():
        with suppress(PermissionError), socket.create_server(("127.0.0.1", 1)):
            pytest.skip("this system forbids no port")
        assert main(["sandbox", "--port", "1"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("giftlib: [Errno 13] Permission denied") and error.count("\n") == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_all_addresses(host):
    """A sandbox that listens on all addresses names one that can be called."""
    with Sandbox(host=host, latency_s=0) as sandbox:
        assert sandbox.client().balance() > 0


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_child():
    """A closed sandbox is closed though a forked process, which has its socket too, lives on."""
    sandbox = Sandbox(latency_s=0)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)  # until the parent closes its end
        os._exit(0)
    try:
        sandbox.close()
        port = int(sandbox.url.rpartition(":")[2])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)
        Sandbox(port=port).close()
    finally:
        os.close(write)
        os.waitpid(child, 0)
        os.close(read)


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        ("GET /v3/ping HTTP/1.1", ["Host: x"], 200), ("GET http://x/v3/ping HTTP/1.1", ["Host: x"], 200),
        ("GET HTTP://api.test:80/v3/ping?a=1 HTTP/1.1", ["Host: x"], 200), ("GET http://x HTTP/1.1", ["Host: x"], 200),
        ("GET / HTTP/1.1", ["Host: ["], 200), ("GET /v3/ping HTTP/1.1", [], 400),
        ("GET /v3/ping HTTP/1.1", ["Host: x", "Host: y"], 400),
        ("GET /v3/ping HTTP/1.0", [], 200),
    ],
)  # fmt: skip
def test_request_forms(request_line, headers, status):
    """Requests are read in each form of RFC 9112, 3.2; HTTP/1.1 needs one Host."""
    with Sandbox(latency_s=0) as sandbox, connect(sandbox) as connection:
        connection.sendall("\r\n".join([request_line, *headers, "", ""]).encode())
        head = connection.recv(65536)
    assert head.split(b" ")[1] == str(status).encode() and b"\r\nDate: " in head and b"X-Emulator-Instance: " in head


@pytest.mark.parametrize("prec", [1, 4, 7])
def test_any_decimal_context(prec):
    """The emulator's money is exact whatever precision a program has set for its own numbers."""
    with localcontext(Context(prec=prec)), Sandbox(latency_s=0, test_type_price=Decimal("12345.67")) as sandbox:
        sandbox.deposit(Decimal("0.01"))
        client = sandbox.client()
        order_id = client.place_order("p", "TEST_PARTIAL", 4)
        sandbox.clock.sleep(60)
        assert str(client.check_order_status(order_id).fulfilled_amount) == "24691.34"
        assert str(client.balance()) == "9975308.67"
