"""Which emulator responds, and at what time: headers of every response."""

import re
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

import pytest
from raw_http import QUIET, Caller
from samples import PRODUCT

from giftlib import SimulatedClock, SystemClock
from giftlib.sandbox import Fault, Sandbox

HEAD = (
    '{"format": "giftlib sandbox state 1", "seed": 0, "settings": {}, "since": "2026-01-01T00:00:00+00:00", "at": 0.0}'
)
ORDER = f'["order", "SANDBOX", 0.0, 1767225600000, ["{PRODUCT}", "type_001", 1]]'


def instance_of(call, *args, **kwargs):
    return call(*args, **kwargs).headers["X-Emulator-Instance"]


@pytest.mark.parametrize(
    ("path", "request_options"),
    [
        ("ping", {}),
        ("validate", {"headers": {"X-Access-Token": "wrong"}}),
        ("gift-cards/checkOrder/x", {}),
        ("nothing", {}),
        ("ping", {"method": "DELETE"}),
        ("ping", {"method": "HEAD"}),
        ("ping", {"method": "OPTIONS"}),
        ("gift-cards/placeOrder", {"method": "POST", "data": b"x" * 2_000_000}),
        ("gift-cards/placeOrder", {"method": "POST", "data": b"no JSON"}),
        ("../", {}),
        ("../", {"method": "HEAD"}),
        ("../openapi.json", {}),
        ("../_sandbox/truth", {}),
        ("../_sandbox/nothing", {}),
        ("../_sandbox/truth", {"headers": {"Host": "elsewhere.example"}}),
    ],
)
def test_every_response(open_sandbox, path, request_options):
    """Every response names the instance and has the date of the emulator's clock."""
    call = open_sandbox(control=True)
    call.clock.sleep(7 * 86400)
    response = call(path, **request_options)
    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Emulator-Instance"])
    assert response.headers["X-Emulator-Instance"] == call.sandbox.instance
    assert response.headers["Date"] == "Thu, 08 Jan 2026 00:00:00 GMT"


@pytest.mark.parametrize("fault", [{"status": 503, "body": "html"}, {"status": 302, "body": "empty"}, {"body": b"x"}])
def test_faulty_response(open_sandbox, fault):
    """A response with a fault has both too, unless the fault replaces them."""
    call = open_sandbox(faults=[Fault("ping", **fault), Fault("ping", call=2, headers={"date": "never"})])
    response = call("ping", allow_redirects=False)
    assert response.headers["X-Emulator-Instance"] == call.sandbox.instance
    assert response.headers["Date"] == "Thu, 01 Jan 2026 00:00:00 GMT"
    assert call("ping").headers["Date"] == "never"


class ZonedClock(SystemClock):
    def now_utc(self):
        return super().now_utc().astimezone(ZoneInfo("Africa/Algiers"))


@pytest.mark.parametrize("clock", [SystemClock, SimulatedClock, ZonedClock])
def test_date(open_sandbox, clock):
    """Date and meta.timestamp say the same time, the clock's, however long a response is under way."""
    call = open_sandbox(clock=clock(), latency_s=0.01, faults=[Fault("ping", delay_s=0.01)])
    before = call.clock.now_utc()
    response = call("ping")
    date = parsedate_to_datetime(response.headers["Date"])
    stated = datetime.fromisoformat(response.json()["meta"]["timestamp"])
    assert stated.replace(microsecond=0) == date
    assert before - timedelta(milliseconds=1) <= stated <= call.clock.now_utc()


def test_new(make_sandbox):
    """Each sandbox is another instance, also of the same seed."""
    assert make_sandbox(seed=1).instance != make_sandbox(seed=1).instance


def test_reset(open_sandbox):
    """A reset makes another instance; what it responds names the new one."""
    call = open_sandbox(control=True)
    before = instance_of(call, "ping")
    after = instance_of(call, "../_sandbox/reset", "POST", json={})
    assert before != after == instance_of(call, "ping") == call.sandbox.instance


@pytest.mark.parametrize("content", [None, "", f"{HEAD}\n", f"{HEAD}\n{ORDER}\n", f'{HEAD}\n{ORDER}\n["insta'])
def test_kept(tmp_path, content):
    """A sandbox that goes on from a state is the same instance; a state without one gets one."""
    path = tmp_path / "state"
    if content is not None:
        path.write_text(content)
    with Sandbox(state=path, **QUIET if not content else {}) as first, Caller(first) as call:
        seen, orders = instance_of(call, "ping"), list(first.truth())
    assert len(orders) == (ORDER in (content or ""))
    with Sandbox(state=path) as again:
        assert (again.instance, list(again.truth())) == (seen, orders)
        again.add_orders(1)
    with Sandbox(state=path) as third:
        assert third.instance == seen


def test_saved(sandbox, tmp_path):
    """A saved sandbox goes on as the same instance."""
    sandbox.save(tmp_path / "state")
    with Sandbox(state=tmp_path / "state") as later:
        assert later.instance == sandbox.instance


@pytest.mark.parametrize("instance", ['"x"', "5", "null", '["0123456789abcdef0123456789abcdef"]'])
def test_no_instance(tmp_path, instance):
    """A state with a bad instance is none."""
    path = tmp_path / "state"
    path.write_text(f'{HEAD}\n["instance", "", null, 0, {instance}]\n')
    with pytest.raises(ValueError, match="state is no sandbox state: instance must be 32 hexadecimal digits"):
        Sandbox(state=path)
