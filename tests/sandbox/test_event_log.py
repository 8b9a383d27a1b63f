"""A sandbox's state in a file: saved, continued, and kept while it runs."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from http import HTTPStatus
from threading import Barrier

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from raw_http import QUIET, Caller
from samples import PRODUCT
from thorough import tries

from giftlib import SimulatedClock, SystemClock
from giftlib.sandbox import Sandbox, Settings, event_log

PLAIN = QUIET | {"production_rate_limit_per_minute": None}


def seen(sandbox):
    """All that a client can see of both environments, and the truth."""
    shown = [sandbox.truth(), [key.key for key in sandbox.keys], sandbox.clock.now_utc()]
    for key in sandbox.keys:
        for path in ("account/balance", "account/transactions?pageSize=100", "gift-cards/list?pageSize=100"):
            with Caller(sandbox, key.key) as call:
                shown.append(call(path).json()["data"])
    return shown


def live_a_little(sandbox):
    client = sandbox.client(sandbox.add_key("PRODUCTION"))
    client.allow_production = True
    for type_id, quantity, pause in (("TEST_PARTIAL", 4, 3.25), ("type_001", 2, 0.0004), ("TEST_REFUND", 1, 40)):
        sandbox.add_orders(2, type_id, quantity)
        client.place_order(PRODUCT, type_id, quantity)
        sandbox.deposit(Decimal("12.34"))
        sandbox.clock.sleep(pause)
    sandbox.add_orders(3, "TEST_REFUND")


def test_saved(tmp_path):
    """A saved sandbox goes on as if it had never stopped."""
    with Sandbox(3, partial_rounding="up", **PLAIN) as sandbox:
        live_a_little(sandbox)
        sandbox.save(tmp_path / "state.jsonl")
        before = seen(sandbox)
        sandbox.add_orders(2)
        sandbox.clock.sleep(30)
        later = seen(sandbox)
    with Sandbox(state=tmp_path / "state.jsonl") as sandbox:
        assert seen(sandbox) == before
        sandbox.add_orders(2)
        sandbox.clock.sleep(30)
        assert seen(sandbox) == later


def test_killed(tmp_path):
    """A state survives a sandbox that was never closed, and half a line."""
    path = tmp_path / "state.jsonl"
    killed = Sandbox(3, state=path, **PLAIN)
    live_a_little(killed)
    orders = list(killed.truth())
    content = path.read_bytes()
    killed.close()
    path.write_bytes(content + b'["order", "SANDB')  # half a line, as of a process that died
    with Sandbox(state=path) as sandbox:
        assert list(sandbox.truth()) == orders
        [new] = sandbox.add_orders(1)
    with Sandbox(state=path) as sandbox:
        assert list(sandbox.truth()) == [*orders, new]


@pytest.mark.parametrize("control", [False, True])
def test_time_is_kept(tmp_path, control):
    """Simulated time that a client has seen is not taken back when the process is killed."""
    path = tmp_path / "state"
    with Sandbox(state=path, control=True, fulfilment_s=60, **QUIET) as sandbox, Caller(sandbox) as call:
        order_id = call.order_id(type_id="TEST_REFUND")
        if control:
            call("../_sandbox/advance", "POST", json={"seconds": 3600})
        else:
            sandbox.clock.sleep(3600)
            call("ping")
        content = path.read_bytes()
        call("ping")
        assert path.read_bytes() == content  # the same time is written once
    path.write_bytes(content)
    with Sandbox(state=path) as again:
        assert again.client().check_order_status(order_id).status == "REFUNDED"
        assert again.client().balance() == again.settings.opening_balance
        assert again.clock.now_utc() >= sandbox.clock.now_utc()


def test_time_between(tmp_path):
    """Time between two sandboxes passes for the orders too."""
    clock = SimulatedClock()
    with Sandbox(clock=clock, state=tmp_path / "state", fulfilment_s=60, **PLAIN) as sandbox:
        [order_id] = sandbox.add_orders(1)
    for pause, status in ((59, "HANDLING"), (2, "FULFILLED")):
        clock = SimulatedClock(clock.now_utc() + timedelta(seconds=pause))
        with Sandbox(clock=clock, state=tmp_path / "state") as sandbox:
            assert sandbox.client().check_order_status(order_id).status == status


def test_refund_in_time(tmp_path):
    """A history in which a refund paid an order in the same instant can be replayed."""
    for number in range(40):
        path = tmp_path / str(number)
        with Sandbox(number, state=path, opening_balance=490, **PLAIN) as sandbox:
            [order_id] = sandbox.add_orders(1, "TEST_REFUND")
            sandbox.clock.sleep(sandbox.truth()[order_id])
            sandbox.add_orders(1, "TEST_REFUND")  # paid with the refund
            sandbox.clock.sleep(number / 7)
            before = seen(sandbox)
        with Sandbox(state=path) as again:
            after = seen(again)
        assert before.pop(2) - after.pop(2) < timedelta(milliseconds=1)
        assert after == before


def test_late_clock(tmp_path):
    """A history is never in the future, even if the clock is set back."""
    late = SimulatedClock(datetime(2036, 1, 1, tzinfo=UTC))
    with Sandbox(clock=late, state=tmp_path / "state", **PLAIN) as sandbox:
        ids = sandbox.add_orders(2, "TEST_REFUND")
        late.sleep(600)
    with Sandbox(clock=SimulatedClock(), state=tmp_path / "state") as sandbox:
        client = sandbox.client()
        assert [client.check_order_status(order_id).status for order_id in ids] == ["REFUNDED", "REFUNDED"]
        assert client.balance() == sandbox.settings.opening_balance


def test_locked(tmp_path):
    """Only one sandbox at a time has a state file."""
    path = tmp_path / "state"
    with Sandbox(state=path) as sandbox:
        sandbox.add_orders(2)
        for take in (lambda: Sandbox(state=path), lambda: sandbox.save(path)):
            with pytest.raises(OSError, match="state is the state of a sandbox that runs"):
                take()
        orders = [*sandbox.truth(), *sandbox.add_orders(1)]
    with Sandbox(state=path) as again:
        assert list(again.truth()) == orders


def test_same_millisecond(tmp_path):
    """Orders of one millisecond keep their order across environments."""
    with Sandbox(list_mixes_environments=True, **PLAIN) as sandbox:
        other = sandbox.client(sandbox.add_key("PRODUCTION"))
        other.allow_production = True
        for _ in range(3):
            other.place_order(PRODUCT, "type_001", 1)
            sandbox.add_orders(1)
        orders = list(sandbox.truth())
        sandbox.save(tmp_path / "state")
    with Sandbox(state=tmp_path / "state") as again:
        assert list(again.truth()) == orders


moves = st.lists(
    st.tuples(
        st.sampled_from(["type_001", "TEST_PARTIAL", "TEST_REFUND", "other"]), st.integers(1, 5), st.floats(0, 100)
    ),
    max_size=8,
)


@settings(max_examples=tries(8, 25))
@given(seed=st.integers(), moves=moves)
def test_any_history(tmp_path_factory, seed, moves):
    """Any history gives the same state again."""
    path = tmp_path_factory.mktemp("state") / "state"
    with Sandbox(seed, **PLAIN) as sandbox:
        for type_id, quantity, pause in moves:
            sandbox.add_orders(1, type_id, quantity)
            sandbox.clock.sleep(pause)
        sandbox.save(path)
        before = seen(sandbox)
    with Sandbox(state=path) as again:
        after = seen(again)
    assert abs(before.pop(2) - after.pop(2)) < timedelta(milliseconds=1)
    assert after == before


amounts = st.sampled_from([50, Decimal(50), Decimal("0.5"), Decimal("1E+3"), Decimal("7.000"), Decimal("1.005"), 0.5])
numbers = st.sampled_from([0, 3, np.int64(4), np.float32(0.5), np.float64(2), Fraction(1, 3), math.inf, math.nan, "5"])
given_values = st.fixed_dictionaries({
    "add_orders": st.tuples(
        st.sampled_from([1, np.int64(2), HTTPStatus.OK]), st.sampled_from(["type_001", "", None, 5, "\ud800"]),
        st.sampled_from([1, np.int64(2), True]),
    ),
    "next_order": st.tuples(st.sampled_from([None, 0, 1, np.int64(1), True]), st.none() | numbers),
    "deposit": st.tuples(amounts),
    "add_key": st.tuples(st.sampled_from(["SANDBOX", "PRODUCTION", np.str_("PRODUCTION"), 5])),
})  # fmt: skip


@settings(max_examples=tries(25, 200))
@given(
    calls=st.lists(given_values, max_size=3),
    names=st.fixed_dictionaries(
        {}, optional={"latency_s": numbers, "fulfilment_s": numbers, "opening_balance": amounts,
                      "prices": st.fixed_dictionaries({"type_001": amounts})}
    ),
)  # fmt: skip
def test_accepted_is_readable(tmp_path_factory, calls, names):
    """Whatever a sandbox accepted, a sandbox with its state or with what it saved goes on from."""
    folder = tmp_path_factory.mktemp("state")
    try:
        sandbox = Sandbox(state=folder / "state", **names)
    except ValueError:
        assume(False)
    with sandbox, Sandbox(**names) as other:
        for each, call in ((each, call) for call in calls for each in (sandbox, other)):
            for name, arguments in call.items():
                with suppress(ValueError):
                    getattr(each, name)(*arguments)
        other.save(folder / "saved")
        sandbox.settings.write(folder / "settings")
        truth, settings = sandbox.truth(), sandbox.settings
    assert Settings.read(folder / "settings") == settings
    for name in ("state", "saved"):
        with Sandbox(state=folder / name) as again:
            assert list(again.truth().values()) == list(truth.values()) and again.settings == settings


@pytest.mark.parametrize("type_id", ["", None, 5])
def test_bad_type_id(type_id):
    """A type id that a request could not have is rejected."""
    with Sandbox() as sandbox, pytest.raises(ValueError, match="type_id must be a string that is not empty, got"):
        sandbox.add_orders(1, type_id)


def test_same_seed_and_settings(tmp_path):
    """A state goes on with its own seed and settings only."""
    path = tmp_path / "state"
    Sandbox(3, state=path, partial_rounding="up").close()
    for other, expected in (
        ({"seed": 4}, "seed must be 3"),
        ({"partial_of_one": "PARTIALLY_FILLED"}, "partial_of_one must be 'as counted'"),
    ):
        with pytest.raises(ValueError, match=f"{expected}, .*begun, got"):
            Sandbox(state=path, **other)
    with Sandbox(3, state=path, partial_rounding="up") as sandbox:
        assert sandbox.settings.partial_rounding == "up"


@pytest.mark.parametrize("began", [None, "sk_live_of_a_shop"])
def test_same_key(tmp_path, began):
    """A state goes on with its first key only, and does not hold it."""
    path = tmp_path / "state"
    with Sandbox(state=path, api_key=began) as sandbox:
        key = sandbox.api_key
    for other in ({"api_key": "another-key"}, *([{}] if began else [])):
        with pytest.raises(ValueError, match=r"^api_key must be the one with which .*state was begun \(not shown\)$"):
            Sandbox(state=path, **other)
    with Sandbox(state=path, api_key=began) as again:
        assert again.api_key == key and key not in path.read_text()


HEAD = (
    '{"format": "giftlib sandbox state 1", "seed": 0, "settings": {}, "since": "2026-01-01T00:00:00+00:00", "at": 0.0}'
)


@pytest.mark.parametrize(
    "content",
    [
        b"nonsense\n",
        b"{}\n",
        b'{"format": "giftlib sandbox state 9"}\n',
        b"[1]\n",
        b'{"precious": 1}',
        b"\xff\n",
        *(f"{HEAD}\n{row}\n".encode() for row in (
            '["order", "MARS", 0.0, 1767225600000, ["p", "t", 1]]',
            '["deposit", "SANDBOX", 0.0, 1767225600000, "x"]',
            '["key", "", null, 0, null]',
            '["order", "SANDBOX", 1e999, 1767225600000, ["p", "t"]]',
            '["nonsense", "", 0, 0, 0]',
            '"abc"',
            '{"a": 1}',
        )),
    ],
)  # fmt: skip
def test_other_files(tmp_path, content):
    """A file that is no state is an error, and is not changed."""
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="state is no sandbox state: "):
        Sandbox(state=path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("state", [5, b"state", ["state"]])
def test_no_path(state):
    """What is no path is an error that says what is accepted."""
    with pytest.raises(ValueError, match=r"is no sandbox state: .*os\.PathLike"):
        Sandbox(state=state)


@pytest.mark.parametrize("content", ["", HEAD[:10], HEAD[:60]])
def test_incomplete_head(tmp_path, content):
    """A file with an incomplete first line is begun anew."""
    path = tmp_path / "state"
    path.write_text(content)
    with Sandbox(state=path) as sandbox:
        orders = sandbox.add_orders(1)
    with Sandbox(state=path) as again:
        assert list(again.truth()) == orders


def test_bad_seed(tmp_path):
    """A seed that JSON cannot hold is rejected."""
    with pytest.raises(ValueError, match="seed must be a number or a text"):
        Sandbox(object(), state=tmp_path / "state")


def test_no_secrets(tmp_path):
    """A state holds no key and no card's code."""
    with Sandbox(3, state=tmp_path / "state", **PLAIN) as sandbox:
        live_a_little(sandbox)
        keys = [key.key for key in sandbox.keys]
    content = (tmp_path / "state").read_text()
    assert not any(key in content for key in keys) and "SANDBOX-" not in content
    assert all(json.loads(line) for line in content.splitlines())


def test_reset():
    """After a reset the same seed gives the same again."""
    with Sandbox(3, **PLAIN) as sandbox:
        first = list(sandbox.truth().values()), sandbox.api_key
        live_a_little(sandbox)
        sandbox.reset()
        assert (list(sandbox.truth().values()), sandbox.api_key) == first
        assert sandbox.client().balance() == sandbox.settings.opening_balance
        assert len(sandbox.keys) == 2 and len(sandbox.requests) == 1


def test_reset_with_state(tmp_path):
    """A sandbox whose state is in a file is not reset."""
    with Sandbox(state=tmp_path / "state") as sandbox:
        with pytest.raises(OSError, match="not reset"):
            sandbox.reset()


def test_taken_over(tmp_path):
    """Whoever gets the file, while others begin, sell and close with it, has every order sold before."""
    path, sold, start = tmp_path / "state", [], Barrier(4)

    def sell(number):
        start.wait(timeout=5)
        for _ in range(6):
            while True:
                with suppress(OSError), Sandbox(clock=SystemClock(), state=path, **PLAIN) as sandbox:
                    assert list(sandbox.truth()) == sold
                    sold.extend(sandbox.add_orders(1 + number % 2))
                    break
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(sell, range(4)))
    with Sandbox(state=path) as sandbox:
        assert len(set(sold)) == 36 and list(sandbox.truth()) == sold


@contextmanager
def full_disk(path, room=0):
    """A file system on which this file can grow by so many bytes only, and no other file beyond."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("room", [0, 1, 40])
def test_full_disk(tmp_path, open_sandbox, caplog, room):
    """An order that cannot be recorded is refused and not charged; when there is room again, all goes on."""
    path = tmp_path / "state"
    call = open_sandbox(state=path, control=True)
    before = [call.order_id(), call.order_id(type_id="TEST_REFUND")]
    balance = call.sandbox.client().balance()
    with full_disk(path, room):
        for _ in range(2):
            refused = call.place()
            assert (refused.status_code, refused.json()["error"]["code"]) == (500, "INTERNAL_ERROR")
        for act in (lambda: call.sandbox.add_orders(3), lambda: call.sandbox.deposit(7), call.sandbox.add_key):
            with pytest.raises(OSError, match="state cannot be written: File too large"):
                act()
        for name, body in (("orders", {}), ("deposit", {"amount": "7"})):
            assert call(f"../_sandbox/{name}", "POST", json=body).status_code == 500
        assert call.listed() == before[::-1] and list(call.sandbox.truth()) == before
        assert call.sandbox.client().balance() == balance and len(call.sandbox.keys) == 1
    assert caplog.messages == [f"an order was refused: {path} cannot be written: File too large"] * 2
    orders = [*before, call.order_id()]
    call.clock.sleep(20)
    shown = seen(call.sandbox)
    call.sandbox.close()
    with Sandbox(state=path) as again:
        assert list(again.truth()) == orders and seen(again) == shown


def test_closed_on_full_disk(tmp_path):
    """A sandbox closes on a full disk, and only the time of its end is lost."""
    path = tmp_path / "state"
    with Sandbox(state=path, **PLAIN) as sandbox, full_disk(path, 3):
        with pytest.raises(OSError, match="cannot be written"):
            sandbox.add_orders(1)
        sandbox.close()
    with Sandbox(state=path) as again:
        assert again.truth() == {}


def test_begun_on_full_disk(tmp_path):
    """A state that cannot be written whole is not begun: a part of a history would be another one."""
    path = tmp_path / "state"
    with Sandbox(**PLAIN) as sandbox:
        sandbox.add_orders(20)
        sandbox.save(path)
        (tmp_path / "small").write_bytes(path.read_bytes()[:600])
        with full_disk(tmp_path / "small"):
            for begin in (
                lambda: sandbox.save(path),
                lambda: Sandbox(state=tmp_path / "x", prices=dict.fromkeys(map(str, range(99)), 1)),
            ):
                with pytest.raises(OSError, match="cannot be written: File too large"):
                    begin()
    for name in ("state", "x"):
        with Sandbox(state=tmp_path / name) as again:
            assert again.truth() == {}


def test_largest_file(tmp_path, monkeypatch):
    """A state grows only as large as one that can be read."""
    path = tmp_path / "state"
    monkeypatch.setattr(event_log, "MOST_BYTES", 1000)
    with Sandbox(state=path, **PLAIN) as sandbox:
        with pytest.raises(OSError, match="cannot be written: File too large"):
            sandbox.add_orders(1000)
        sandbox.close()
    with Sandbox(state=path) as again:
        assert list(again.truth()) == list(sandbox.truth()) != []
