"""What each fault of the sandbox does to a client: plain requests, and sockets where requests sees too little."""

import json
from collections import Counter
from contextlib import closing

import pytest
import requests
from alterations import (
    WRONG_ORDERS,
    hyphenated,
    in_every_object,
    null,
    numbers_as_text,
    open_again,
    too_few_cards,
    unknown_status,
    without,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_http import QUIET, Caller, connect
from samples import ORDER_ID, PRODUCT
from thorough import tries

from giftlib.clock import SystemClock
from giftlib.sandbox import MIXED, Fault, Sandbox, at_rate
from giftlib.sandbox.faults import ENDPOINTS

SAMPLE = f"gift-cards/checkOrder/{ORDER_ID}"


def quiet_sandbox(*faults, **options):
    return Sandbox(faults=faults, **QUIET | options)


def ask(sandbox, path="ping", **options):
    """One request over a connection of its own, redirects not followed."""
    with Caller(sandbox) as call:
        return call(path, allow_redirects=False, **options)


def place(sandbox, quantity=3):
    with Caller(sandbox) as call:
        return call.place(quantity=quantity)


def outcome(sandbox, path="ping"):
    try:
        response = ask(sandbox, path)
    except requests.RequestException as error:
        return type(error).__name__
    return response.status_code, response.headers.get("Retry-After"), response.text


class Line:
    """A bare connection: what was asked goes out, what comes back is bytes."""

    def __init__(self, sandbox):
        self._socket = connect(sandbox)
        self._key = sandbox.api_key
        self.reset = False

    def close(self):
        self._socket.close()

    def ask(self, path="ping"):
        self._socket.sendall(
            f"GET /v3/{path} HTTP/1.1\r\nHost: sandbox\r\nX-Access-Token: {self._key}\r\n\r\n".encode()
        )

    def read(self, most):
        return self._socket.recv(most)

    def read_to_the_end(self):
        """Head and body, all until the connection is closed; `reset` says how."""
        content = b""
        try:
            while piece := self._socket.recv(65536):
                content += piece
        except ConnectionResetError:
            self.reset = True
        return content.split(b"\r\n\r\n", 1) if content else content


def conversation(sandbox, path="ping"):
    with closing(Line(sandbox)) as line:
        line.ask(path)
        return line.read_to_the_end(), line.reset


# By chance


def failed(sandbox, count, path="ping"):
    return [ask(sandbox, path).status_code != 200 for _ in range(count)]


@pytest.mark.parametrize(("rate", "least", "most"), [(0, 0, 0), (0.3, 68, 112), (1, 300, 300)])
def test_rate(rate, least, most):
    """A rate affects its proportion of the requests."""
    with quiet_sandbox(Fault(status=503, rate=rate)) as sandbox:
        assert least <= sum(failed(sandbox, 300)) <= most


def test_seed():
    """The same seed affects the same requests in the same way, another seed others."""

    def seen(seed):
        with quiet_sandbox(*at_rate(0.5), seed=seed) as sandbox:
            return [outcome(sandbox)[:2] for _ in range(60)]

    assert seen(1) == seen(1)
    assert seen(1) != seen(2)


@settings(max_examples=tries(5, 10))
@given(seed=st.integers(), rate=st.floats(0, 1))
def test_rate_leaves_times(seed, rate):
    """A rate does not change the times of orders and the latencies."""

    def times(faults):
        with Sandbox(seed, faults=faults) as sandbox:
            times = []
            for _ in range(5):
                ask(sandbox)
                sandbox.add_orders(1)
                times.append(sandbox.clock.monotonic())
            return times, sandbox.truth()

    assert times([Fault(status=500, rate=rate)]) == times([])


def is_good(sandbox, path):
    try:
        return ask(sandbox, path).json()["success"]
    except requests.RequestException:
        return False


def test_mixed_rate():
    """Mixed faults affect every endpoint at the rate of all together."""
    types = [fault for fault in MIXED if not fault.delay_s]  # that response is good, only late
    with quiet_sandbox(*at_rate(0.3, types)) as sandbox:
        for path in ("ping", "validate", "account/balance", SAMPLE):
            assert 55 <= sum(is_good(sandbox, path) for _ in range(100)) <= 85


def test_mixed_types():
    """Each of the mixed faults occurs."""
    with quiet_sandbox(*at_rate(1)) as sandbox:
        seen = Counter(outcome(sandbox, "validate") for _ in range(200))
        late = sandbox.clock.monotonic() / 20
    types = Counter(what if isinstance(what, str) else what[:2] for what in seen.elements())
    assert late == types[200, None] - sum(n for what, n in seen.items() if what[0] == 200 and what[2][-1] != "}")
    expected = {(500, None), (502, None), (503, None), (503, "5"), (429, "5"), (200, None)}
    assert types.keys() == expected | {"ConnectionError", "ChunkedEncodingError"}
    assert min(types.values()) >= 5


def test_mixed_endpoint():
    """Mixed faults can be limited to one endpoint."""
    with quiet_sandbox(*at_rate(1, [Fault(status=500), Fault(status=503)], "ping")) as sandbox:
        assert {ask(sandbox).status_code for _ in range(30)} == {500, 503}
        assert failed(sandbox, 5, "validate") == [False] * 5


def test_count_before_rate():
    """A fault by count goes before one at random."""
    with quiet_sandbox(Fault(status=500, rate=1), Fault(status=418, call=2)) as sandbox:
        assert [ask(sandbox).status_code for _ in range(3)] == [500, 418, 500]


def test_later_rate():
    """A rate that is injected later does not change the earlier ones."""

    def seen(*later):
        with quiet_sandbox(Fault(status=500, rate=0.3)) as sandbox:
            for fault in later:
                sandbox.inject(fault)
            return [ask(sandbox).status_code == 500 for _ in range(60)]

    assert seen(Fault(status=503, rate=0.5)) == seen()


def test_rate_sum():
    """Rates of one endpoint add up to at most 1; those of other endpoints do not count."""
    with quiet_sandbox(Fault("ping", status=500, rate=0.7), Fault("validate", status=500, rate=0.7)) as sandbox:
        with pytest.raises(ValueError, match="rate must be .* the same request add up to at most 1, got 1.1"):
            sandbox.inject(Fault("validate", status=503, rate=0.4))
        sandbox.inject(Fault(status=503, rate=0.3))


ORDER_A, ORDER_B, KEY_2 = {"order": "a"}, {"order": "b"}, {"key": "SANDBOX 2"}
ONE, TWO = {"sent": {"a": {"quantity": 1}}}, {"sent": {"a": {"quantity": 2}, "b": 1}}


@pytest.mark.parametrize(
    ("aims", "accepted"),
    [
        ([ORDER_A, ORDER_B], True), ([ORDER_A, ORDER_A], False), ([ORDER_A, KEY_2], False), ([{}, ORDER_A], False),
        ([KEY_2, {"key": "SANDBOX"}], True), ([ONE, TWO], True), ([ONE, {"sent": {"b": 2}}], False),
        ([ORDER_A, ONE], True), ([ORDER_A, {"endpoint": "ping"}], True), ([ONE, {"endpoint": "placeOrder"}], False),
        ([ORDER_A, ORDER_B, {"endpoint": "checkOrder"}], False), ([{"endpoint": "ping"}, {"endpoint": "list"}], True),
    ],
)  # fmt: skip
def test_rates_that_meet(aims, accepted):
    """Only rates that can affect the same request add up."""
    *faults, last = [Fault(status=500, rate=0.8, **aim) for aim in aims]
    with quiet_sandbox(*faults) as sandbox:
        if accepted:
            sandbox.inject(last)
        else:
            with pytest.raises(ValueError, match="rate must be"):
                sandbox.inject(last)


def test_rates_of_pairs():
    """Faults that meet another one, but not each other, are not added up."""
    with quiet_sandbox(*(Fault(status=500, rate=0.6, order=name) for name in "abcd")) as sandbox:
        sandbox.inject(Fault("checkOrder", status=503, rate=0.4))
        with pytest.raises(ValueError, match="got 1.1 in all"):
            sandbox.inject(Fault("checkOrder", status=503, rate=0.1))


@pytest.mark.parametrize("faults", [Fault(status=500), [Fault(status=500), "x"], None, 5, "x"])
def test_no_list_of_faults(faults):
    """Faults are a list of them."""
    for make in (lambda: Sandbox(faults=faults), lambda: at_rate(0.5, faults)):
        with pytest.raises(ValueError, match="faults must be a list of Faults, got"):
            make()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.3, []), "faults must be"),
        ((1.1,), "rate must be a probability from 0 to 1, got 1.1"),
        (("0.3",), "rate must be a probability"),
        ((0.3, MIXED, "pong"), "endpoint must be"),
        ((0.3, [Fault(status=500, call=2)]), "rate must be None with call=2"),
    ],
)
def test_bad_rate(arguments, message):
    """A wrong argument of at_rate is rejected."""
    with pytest.raises(ValueError, match=message):
        at_rate(*arguments)


# What is sent


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        (Fault(body=0), b""),
        (Fault(body=70_000), b"x" * 70_000),
        (Fault(status=500, body=5), b"xxxxx"),
        (Fault(body=b"y" * 200_000), b"y" * 200_000),
    ],
)
def test_body_bytes(fault, body):
    """A response has the bytes that the fault says."""
    with quiet_sandbox(fault) as sandbox:
        response = ask(sandbox, SAMPLE)
        assert response.status_code == (fault.status or 200)
        assert response.content == body
        assert response.headers["Content-Length"] == str(len(body))
        assert ask(sandbox, SAMPLE).json()["success"] is True


def test_large_body():
    """A hundred megabytes come whole."""
    with quiet_sandbox(Fault(body=10**8)) as sandbox, ask(sandbox, stream=True) as response:
        assert sum(map(len, response.iter_content(2**20))) == 10**8


@pytest.mark.parametrize("drip_s", [0, 1])
def test_huge_body(drip_s, caplog):
    """A response larger than any memory begins, and other requests are served meanwhile."""
    with quiet_sandbox(Fault(body=10**15, drip_s=drip_s)) as sandbox:
        with closing(Line(sandbox)) as line:
            line.ask()
            assert line.read(1000).startswith(b"HTTP/1.1 200 OK")
            assert ask(sandbox).status_code == 200
        assert ask(sandbox).status_code == 200
    assert not caplog.records


def test_client_hangs_up():
    """A response ends when the client closes the connection."""
    with quiet_sandbox(Fault(body=10**15, drip_s=1)) as sandbox:
        with closing(Line(sandbox)) as line:
            line.ask()
            line.read(1000)
        for _ in range(100):
            before = sandbox.clock.monotonic()
            for _ in range(5):
                ask(sandbox)
            if sandbox.clock.monotonic() == before:  # nothing drips any more
                break
        else:
            pytest.fail("it drips on")


def test_large_cut():
    """A large response can stop half way."""
    with quiet_sandbox(Fault(body=10**7, cut="within")) as sandbox:
        (head, body), reset = conversation(sandbox)
        assert b"Content-Length: 10000000" in head
        assert (len(body), reset) == (5 * 10**6, False)


def test_drip():
    """A dripping response takes its seconds for every byte on the clock."""
    with quiet_sandbox(Fault("validate", drip_s=2)) as sandbox:
        response = ask(sandbox, "validate")
        assert response.json()["success"] is True
        assert sandbox.clock.monotonic() == 2 * len(response.content)
        assert ask(sandbox, "validate").json() == response.json()


def test_drip_time_out():
    """A dripping response ends where the client gives up."""
    with quiet_sandbox(Fault("validate", drip_s=2)) as sandbox:
        with pytest.raises(requests.RequestException), sandbox.clock.time_limit(15):
            ask(sandbox, "validate")
        assert sandbox.clock.monotonic() == 15


def test_drip_system_clock():
    """On the system clock a dripping response comes byte by byte."""
    with quiet_sandbox(Fault(body=b"drip", drip_s=0.002), clock=SystemClock()) as sandbox:
        with closing(Line(sandbox)) as line:
            line.ask()
            assert line.read(1000).endswith(b"\r\n\r\n")
            assert b"".join(line.read(1000) for _ in range(4)) == b"drip"
            line.ask()
            assert line.read(1000).startswith(b"HTTP/1.1 200 OK")


def test_length_too_large():
    """With a length too large the client waits until the idle connection is closed."""
    with quiet_sandbox(Fault(headers={"Content-Length": "5000"})) as sandbox:
        (head, body), reset = conversation(sandbox)
        assert b"Content-Length: 5000" in head
        assert json.loads(body)["success"] is True
        assert not reset
        assert sandbox.clock.monotonic() == 72
        assert ask(sandbox).status_code == 200


def test_length_time_out():
    """With a length too large the wait ends with the client's time limit."""
    with quiet_sandbox(Fault(headers={"content-length": "5000"})) as sandbox:
        with pytest.raises(requests.RequestException, match="IncompleteRead"), sandbox.clock.time_limit(15):
            ask(sandbox)
        assert sandbox.clock.monotonic() == 15


def test_length_too_small():
    """With a length too small the end is missing."""
    with quiet_sandbox(Fault(headers={"Content-Length": "20"})) as sandbox:
        assert ask(sandbox).text == '{"success":true,"dat'
        assert ask(sandbox).json()["success"] is True


def test_length_without_body(caplog):
    """A length for a response without a body is not sent."""
    with quiet_sandbox(Fault(status=204, headers={"Content-Length": "20"})) as sandbox:
        response = ask(sandbox)
        assert (response.status_code, response.content, "Content-Length" in response.headers) == (204, b"", False)
    assert not caplog.records


def test_truncated():
    """A truncated response is half of the JSON, with its own length."""
    with quiet_sandbox(Fault(body="truncated"), Fault(call=2, status=500, body="truncated")) as sandbox:
        response = ask(sandbox, SAMPLE)
        assert ask(sandbox, SAMPLE).content.startswith(b'{"success":false')
        whole = ask(sandbox, SAMPLE)
        assert int(response.headers["Content-Length"]) == len(response.content) == len(whole.content) // 2
        assert whole.content.startswith(response.content)


def test_garbled():
    """A garbled response is not UTF-8."""
    with quiet_sandbox(Fault(body="garbled")) as sandbox:
        response = ask(sandbox, SAMPLE)
        with pytest.raises(UnicodeDecodeError):
            response.content.decode()
        assert json.loads(response.content.decode(errors="ignore")) == ask(sandbox, SAMPLE).json()


def test_redirect():
    """A redirect names another host."""
    elsewhere = "http://elsewhere.test/v3/ping"
    with quiet_sandbox(Fault(status=302, headers={"Location": elsewhere})) as sandbox:
        response = ask(sandbox)
        assert (response.status_code, response.headers["Location"]) == (302, elsewhere)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("cut", "carried_out", "proportion"), [("before", 0, None), ("within", 1, 0.5), ("after", 1, None), ("end", 1, 1)]
)
def test_cut(cut, carried_out, proportion, reset):
    """A cut comes where and how the fault says."""
    with quiet_sandbox(Fault("ping", cut=cut, reset=reset), Fault("placeOrder", cut=cut, reset=reset)) as sandbox:
        response, was_reset = conversation(sandbox)
        assert was_reset == (reset or cut == "before")
        if proportion is None:
            assert response == b""
        else:
            head, body = response
            length = next(int(line.split()[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
            assert len(body) == int(length * proportion)
        try:
            place(sandbox)
        except requests.RequestException:
            assert cut != "end"
        assert len(sandbox.truth()) == carried_out
        assert ask(sandbox).status_code == 200


def test_refusing():
    """While it refuses connections no server is there, and afterwards all is as before."""
    with quiet_sandbox(Fault("ping", call=3, status=500)) as sandbox, closing(Line(sandbox)) as line:
        line.ask()
        assert line.read(65536)
        with sandbox.refusing():
            assert line.read(1) == b""
            for _ in range(3):
                with pytest.raises(ConnectionRefusedError):
                    Line(sandbox)
        order_id = place(sandbox).json()["data"]["orderId"]
        assert list(sandbox.truth()) == [order_id]
        assert [ask(sandbox).status_code for _ in range(2)] == [200, 500]
        with sandbox.refusing(), pytest.raises(requests.ConnectionError, match="refused"):
            ask(sandbox)
        assert ask(sandbox).status_code == 200


def test_refusing_then_closed():
    """It can be closed while it refuses connections."""
    with quiet_sandbox() as sandbox, sandbox.refusing():
        sandbox.close()
    with sandbox.refusing(), pytest.raises(requests.ConnectionError, match="refused"):
        ask(sandbox)
    with pytest.raises(ConnectionRefusedError):
        Line(sandbox)


# What the API says


def order_under(alter, *, seconds=100, quantity=3):
    with quiet_sandbox(Fault("checkOrder", alter=alter), fulfilment_s=10) as sandbox:
        (order_id,) = sandbox.add_orders(1, quantity=quantity)
        sandbox.clock.sleep(seconds)
        reported, true = (ask(sandbox, f"gift-cards/checkOrder/{order_id}").json()["data"] for _ in range(2))
        return reported, true


def test_open_again():
    """A final order can be reported as open again."""
    reported, true = order_under(open_again)
    assert true["status"] == "FULFILLED"
    assert reported == {name: true[name] for name in ("_id", "quantity", "time")} | {"status": "HANDLING"}


@pytest.mark.parametrize("quantity", [1, 3])
def test_too_few_cards(quantity):
    """A fulfilled order can lack a card."""
    reported, true = order_under(too_few_cards, quantity=quantity)
    assert reported == true | {"cards": true["cards"][:-1]}
    assert (reported["status"], reported["fulfilled_quantity"], len(reported["cards"])) == (
        "FULFILLED",
        quantity,
        quantity - 1,
    )


def test_unknown_status():
    """An order can have an unknown status."""
    reported, true = order_under(unknown_status)
    assert reported == true | {"status": "ON_HOLD"}


def test_without():
    """Fields can be missing."""
    reported, true = order_under(without("status", "price_per_card", "value"))
    assert reported.keys() == true.keys() - {"status", "price_per_card"}
    assert reported["cards"][0].keys() == {"serial"}


def test_null():
    """Fields can be null."""
    reported, true = order_under(null("status", "cards", "refunded"))
    assert reported == true | {"status": None, "cards": None}


def test_numbers_as_text():
    """Numbers can be texts."""
    reported, _ = order_under(numbers_as_text)
    assert (reported["quantity"], reported["fulfilled_amount"], reported["price_per_card"]) == ("3", "1470", "490")


def test_alter():
    """`alter` is any function of the data, and changes its own requests only."""
    reported, true = order_under(lambda data: [len(data), "odd"])
    assert reported == [len(true), "odd"]


def test_hyphenated():
    """Codes of errors can have hyphens, the API's own and those of faults."""
    faults = Fault("checkOrder", alter=hyphenated), Fault("ping", status=503, alter=hyphenated)
    with quiet_sandbox(*faults) as sandbox:
        response = ask(sandbox, "gift-cards/checkOrder/nothing")
        assert (response.status_code, response.json()["error"]["code"]) == (404, "NOT-FOUND")
        assert ask(sandbox).json()["error"]["code"] == "SERVICE-UNAVAILABLE"
        assert ask(sandbox, "gift-cards/checkOrder/nothing").json()["error"]["code"] == "NOT_FOUND"


def test_in_every_object():
    """A change in every object reaches the rows of a list, and amounts stay exact."""

    def odd(fields):
        return fields | {"odd": True}

    with quiet_sandbox(
        Fault("list", alter=in_every_object(odd)), Fault("balance", alter=in_every_object(odd))
    ) as sandbox:
        sandbox.add_orders(2)
        data = ask(sandbox, "gift-cards/list").json()["data"]
        assert [row["odd"] for row in data["items"]] == [True, True]
        assert data["odd"] is data["pagination"]["odd"] is True
    with quiet_sandbox(Fault("balance", alter=in_every_object(odd)), opening_balance=12) as sandbox:
        assert '"balance":12,' in ask(sandbox, "account/balance").text


@pytest.mark.parametrize("alter", [fault.alter for fault in WRONG_ORDERS] + [hyphenated])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_alter_endpoints(endpoint, alter, caplog):
    """Every ready-made alteration works with every endpoint."""
    paths = {
        "catalog": "gift-cards/catalog",
        "checkProduct": f"gift-cards/checkProduct/{PRODUCT}",
        "checkOrder": SAMPLE,
        "list": "gift-cards/list",
        "balance": "account/balance",
        "transactions": "account/transactions",
    }
    with quiet_sandbox(Fault(endpoint, alter=alter)) as sandbox:
        sandbox.add_orders(2)
        response = place(sandbox) if endpoint == "placeOrder" else ask(sandbox, paths.get(endpoint, endpoint))
        assert response.json()["success"] is True
    assert not caplog.records


def test_alter_place_order():
    """An order whose response is altered is placed."""
    with quiet_sandbox(Fault("placeOrder", alter=without("orderId"))) as sandbox:
        assert place(sandbox).json()["data"] == {}
        assert len(sandbox.truth()) == 1


def test_wrong_orders():
    """Wrong orders come at their rate."""
    with quiet_sandbox(*at_rate(0.5, WRONG_ORDERS, "checkOrder")) as sandbox:
        seen = Counter(ask(sandbox, SAMPLE).text for _ in range(200))
        assert 75 <= max(seen.values()) <= 125
        assert len(seen) == len(WRONG_ORDERS) + 1
        assert failed(sandbox, 20) == [False] * 20


def test_alter_fails(caplog):
    """An alteration that fails is logged and closes the connection."""

    def broken(data):
        raise KeyError("of the alteration")

    with quiet_sandbox(Fault(alter=broken)) as sandbox:
        with pytest.raises(requests.ConnectionError):
            ask(sandbox)
        assert ask(sandbox).status_code == 200
    assert "of the alteration" in caplog.text


# Faults that make no sense


@pytest.mark.parametrize(
    "bad",
    [
        {"rate": -0.1, "status": 500},
        {"rate": 1.1, "status": 500},
        {"rate": "0.3", "status": 500},
        {"rate": 0.3, "call": 2, "status": 500},
        {"rate": 0.3, "times": 2, "status": 500},
        {"rate": 0.3},
        {"body": -1},
        {"body": True},
        {"body": 1.5},
        {"body": "empty"},
        {"drip_s": -1},
        {"drip_s": "1"},
        {"drip_s": float("inf")},
        {"headers": {"content-length": "many"}},
        {"headers": {"Content-Length": 9}},
        {"reset": True},
        {"reset": 1, "cut": "after"},
        {"cut": "afterwards"},
        {"alter": {"status": "FULFILLED"}},
        {"alter": open_again, "body": "truncated"},
        {"alter": open_again, "status": 502, "body": "html"},
        {"endpoint": "placeOrder", "order": "x", "status": 500},
        {"endpoint": "checkOrder", "sent": {"quantity": 1}, "status": 500},
        {"order": "x", "sent": {"quantity": 1}, "status": 500},
    ],
)
def test_bad_fault(bad):
    """A fault that makes no sense is rejected."""
    with pytest.raises(ValueError, match="must be|does nothing"):
        Fault(**bad)


def test_refusing_twice():
    """Connections are refused once at a time."""
    with quiet_sandbox() as sandbox, sandbox.refusing():
        with pytest.raises(RuntimeError, match="refuses connections already"), sandbox.refusing():
            pass
