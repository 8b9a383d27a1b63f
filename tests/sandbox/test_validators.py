"""Hostile JSON, in requests and in files: one line that says what is wrong, in bounded time."""

import json
import os
from decimal import Decimal

import pytest
from samples import PRODUCT

from giftlib.cli import main
from giftlib.sandbox import Sandbox, Settings

DEEP = 20_000
VALUES = {
    "deep list": "[" * DEEP + "]" * DEEP,
    "deep object": '{"a":' * DEEP + "1" + "}" * DEEP,
    "rather deep": "[" * 400 + "]" * 400,
    "open list": "[" * DEEP,
    "huge": "1e999999",
    "huger": "1e9999999999999999999",
    "tiny": "1e-9999999999999999999",
    "digits": "9" * 10_000,
    "many digits": "9" * 4_000,
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "twice": '{"a": 1, "a": 2}',
    "null": "null",
    "list": "[1]",
    "object": '{"a": []}',
    "true": "true",
    "negative": "-1",
    "fraction": "1.5",
    "empty": '""',
    "surrogate": '"\\ud800"',
    "long": json.dumps("x" * 10_000),
}
CONTENTS = {
    "nothing": b"",
    "mark": b"\xef\xbb\xbf",
    "binary": bytes(range(256)) * 40,
    "zeros": bytes(5000),
    "surrogate bytes": b'{"\xed\xa0\x80": 1}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    **{name: value.encode() for name, value in VALUES.items()},
}
FIELDS = ["productId", "typeId", "quantity"]
HEAD = {"format": "giftlib sandbox state 1", "seed": 0, "settings": {}, "since": "2026-01-01T00:00:00+00:00", "at": 0.0}
EVENTS = {
    "order": ["SANDBOX", 0.0, 1767225600000, ["p", "t", 1]],
    "deposit": ["SANDBOX", 0.0, 1767225600000, "1.00"],
    "key": ["", None, 0, {"type": "SANDBOX", "scope": "READ-ONLY", "allowed_ips": [], "enabled": True}],
    "instance": ["", None, 0, "0" * 32],
    "end": ["", 1.0, 0, None],
}


def with_value(content, *places):
    """Texts like the JSON of `content`, each with another of VALUES at one of these places."""
    for place in places:
        for value in VALUES.values():
            copy = json.loads(json.dumps(content))
            *way, last = place
            inner = copy
            for step in way:
                inner = inner[step]
            inner[last] = "HERE"
            yield json.dumps(copy).replace('"HERE"', value).encode()


def assert_line(text):
    assert text.strip() and text.count("\n") == 0 and len(text) < 3000


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("name", VALUES)
def test_order_field(call, name, field):
    """Whatever an order says, it is placed or rejected, and the next one is served."""
    fields = {"productId": json.dumps(PRODUCT), "typeId": '"type_001"', "quantity": "1"} | {field: VALUES[name]}
    body = "{" + ",".join(f'"{key}": {value}' for key, value in fields.items()) + "}"
    placed = field != "quantity" and name in ("surrogate", "long")
    response = call("gift-cards/placeOrder", "POST", data=body)
    assert response.status_code == (200 if placed else 400)
    if not placed:
        assert response.json()["error"]["code"] == "ERR_VALIDATION"
    assert [call("gift-cards/list").status_code, call("../").status_code] == [200, 200]
    assert len(call.sandbox.truth()) == placed


@pytest.mark.parametrize("name", CONTENTS)
def test_body(open_sandbox, name):
    """A body that is no order, or no object for the control address, is rejected."""
    call = open_sandbox(control=True)
    assert call("gift-cards/placeOrder", "POST", data=CONTENTS[name]).status_code == 400
    for action in ("advance", "faults", "orders", "deposit", "reset"):
        content_type = {"Content-Type": "application/json"}
        response = call(f"../_sandbox/{action}", "POST", data=CONTENTS[name], headers=content_type)
        if response.status_code != 200 or name != "nothing":
            assert response.status_code == 400
            assert_line(response.json()["error"])


@pytest.mark.parametrize(
    ("action", "field"),
    [
        ("advance", "seconds"),
        ("deposit", "amount"),
        *(("orders", field) for field in ("n", "type_id", "quantity")),
        *(("faults", field) for field in ("endpoint", "call", "status", "body", "headers", "delay_s", "rate", "reset")),
    ],
)
def test_control_field(open_sandbox, action, field):
    """Whatever the control address is given, it does or rejects."""
    call = open_sandbox(control=True, check_balance=False)
    for value in VALUES.values():
        data = f'{{"{field}": {value}}}'
        response = call(f"../_sandbox/{action}", "POST", data=data, headers={"Content-Type": "application/json"})
        assert response.status_code in (200, 400)
        if response.status_code == 400:
            assert_line(response.json()["error"])
    assert len(call.sandbox.truth()) < 5


def assert_rejected(content, path, read):
    path.write_bytes(content)
    line = f"{path.name} "
    try:
        read()
    except ValueError as error:
        line = str(error)
    assert path.name in line
    assert_line(line)
    return path.read_bytes() == content


@pytest.mark.parametrize("name", CONTENTS)
def test_settings_file(tmp_path, name):
    """Content that is no settings is a line that names the file and says what is accepted."""
    path = tmp_path / "settings.json"
    path.write_bytes(CONTENTS[name])
    with pytest.raises(
        ValueError, match="settings.json is no settings file: .*must be (JSON|a JSON object|a|True)|unknown setting"
    ):
        Settings.read(path)
    assert assert_rejected(CONTENTS[name], path, lambda: Settings.read(path))


@pytest.mark.parametrize("setting", list(Settings.__dataclass_fields__))
def test_setting(tmp_path, setting):
    """Whatever a settings file says of one setting, it is read or rejected."""
    for content in with_value({setting: 0}, [setting]):
        assert assert_rejected(content, tmp_path / "settings.json", lambda: Settings.read(tmp_path / "settings.json"))


def test_settings_with_mark(tmp_path):
    """A settings file may begin with the mark that Windows puts there."""
    (tmp_path / "settings.json").write_bytes(b'\xef\xbb\xbf{"test_type_price": 490.5}')
    assert Settings.read(tmp_path / "settings.json").test_type_price == Decimal("490.5")


@pytest.mark.parametrize("name", [name for name in CONTENTS if name != "nothing"])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_state_file(tmp_path, name, end):
    """Content that is no state is a line that names the file, and is not changed."""
    path = tmp_path / "state"
    path.write_bytes(CONTENTS[name] + end)
    with pytest.raises(ValueError, match="state is no sandbox state: "):
        Sandbox(state=path)
    assert assert_rejected(CONTENTS[name] + end, path, lambda: Sandbox(state=path))


def serve(path):
    """Let a sandbox go on from a state, and use all it has."""
    with Sandbox(state=path, latency_s=None) as sandbox:
        client = sandbox.client()
        client.catalog()
        for row in sandbox.latest_orders():
            client.check_order_status(row["id"])
        client.balance()


@pytest.mark.parametrize("field", HEAD)
def test_head(tmp_path, field):
    """Whatever the first line of a state says, a sandbox goes on from it or rejects it."""
    for content in with_value(HEAD, [field]):
        assert_rejected(content + b"\n", tmp_path / "state", lambda: serve(tmp_path / "state"))


@pytest.mark.parametrize("type", EVENTS)
def test_event(tmp_path, type):
    """Whatever an event of a state says, a sandbox goes on from it or rejects it."""
    event = [type, *EVENTS[type]]
    places = [[index] for index in range(len(event))]
    if isinstance(event[4], list | dict):
        places += [[4, key] for key in (event[4] if isinstance(event[4], dict) else range(3))]
    for content in (json.dumps(event).encode(), *with_value(event, *places)):
        state = json.dumps(HEAD).encode() + b"\n" + content + b"\n"
        assert_rejected(state, tmp_path / "state", lambda: serve(tmp_path / "state"))


@pytest.fixture(params=["folder", "pipe", "device", "sparse"])
def odd_file(request, tmp_path):
    """What is no file, or one of 1 GB."""
    path = tmp_path / request.param
    if request.param == "folder":
        path.mkdir()
    elif request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, 2**30)
    return path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a system with pipes in files")
@pytest.mark.parametrize("option", ["--settings", "--state"])
def test_odd_file(odd_file, capsys, option):
    """What is no regular file, or too large, is reported in one line, and not waited for."""
    assert main(["sandbox", "--port", "0", option, str(odd_file)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"giftlib: {odd_file} is no s") and error.count("\n") == 1
    assert "it must be a regular file" in error or "it has more than" in error
