"""Several keys on one sandbox: environments, scopes, rate limits of their own, by plain requests."""

import re

import pytest
from raw_http import Caller
from samples import PRODUCT

from giftlib import Client, NotFoundError, PermissionDeniedError, ProductionKeyError
from giftlib.sandbox import Sandbox


def ask(sandbox, key, path):
    with Caller(sandbox, key) as call:
        return call(path)


def order(sandbox, key):
    with Caller(sandbox, key) as call:
        return call.order_id(type_id="TEST_REFUND")


@pytest.fixture
def sandbox(open_sandbox):
    return open_sandbox(fulfilment_s=1, rate_limit_per_minute=60).sandbox


@pytest.mark.parametrize("mixed", [False, True])
def test_environments_are_apart(mixed):
    """Orders of one environment are unknown in the other, except in a list that mixes them."""
    with Sandbox(latency_s=0, list_mixes_environments=mixed) as sandbox:
        keys = {"SANDBOX": sandbox.api_key, "PRODUCTION": sandbox.add_key("PRODUCTION")}
        ids = {environment: order(sandbox, key) for environment, key in keys.items()}
        assert len(set(ids.values())) == 2 and set(sandbox.truth()) == set(ids.values())
        for environment, key in keys.items():
            seen = {
                other for other in ids if ask(sandbox, key, f"gift-cards/checkOrder/{ids[other]}").status_code == 200
            }
            listed = {row["_id"] for row in ask(sandbox, key, "gift-cards/list").json()["data"]["items"]}
            charged = {row["objid"] for row in ask(sandbox, key, "account/transactions").json()["data"]["items"]}
            assert seen == {environment} and charged == {ids[environment]}
            assert listed == (set(ids.values()) if mixed else {ids[environment]})


def test_keys_share_an_account(sandbox):
    """All keys of one environment see the same account."""
    other = sandbox.add_key()
    order_id = order(sandbox, sandbox.api_key)
    assert ask(sandbox, other, f"gift-cards/checkOrder/{order_id}").status_code == 200


def test_rate_limit_per_key(sandbox):
    """Each key has its own rate limit."""
    keys = {"sandbox": sandbox.api_key, "other": sandbox.add_key(), "production": sandbox.add_key("PRODUCTION")}
    passed = dict.fromkeys(keys, 0)
    for _ in range(130):
        for name, key in keys.items():
            passed[name] += ask(sandbox, key, "account/balance").status_code == 200
    assert passed == {"sandbox": 60, "other": 60, "production": 120}


def test_read_only_client(sandbox):
    """A client with a read-only key gets an error when it places an order."""
    client = sandbox.client(sandbox.add_key(scope="READ-ONLY"))
    assert client.validate().scope == "READ-ONLY"
    with pytest.raises(PermissionDeniedError):
        client.place_order(PRODUCT, "type_001", 1)
    assert sandbox.truth() == {}


@pytest.mark.parametrize(
    ("properties", "code"),
    [({"enabled": False}, "API_DISABLED"), ({"allowed_ips": ("203.0.113.7",)}, "IP_NOT_ALLOWED")],
)
def test_barred_key(sandbox, properties, code):
    """A disabled key and one for other addresses each get their own error."""
    response = ask(sandbox, sandbox.add_key(**properties), "account/balance")
    assert (response.status_code, response.json()["error"]["code"]) == (403, code)


def test_production_client(sandbox):
    """A client with a production key must be allowed to place orders, and sees no sandbox order."""
    client = sandbox.client(sandbox.add_key("PRODUCTION"))
    with pytest.raises(ProductionKeyError):
        client.place_order(PRODUCT, "type_001", 1)
    with pytest.raises(NotFoundError):
        client.check_order_status(sandbox.add_orders(1)[0])


@pytest.mark.parametrize(("rule", "status"), [("simulated", "REFUNDED"), ("ordinary", "FULFILLED")])
def test_production_test_types(rule, status):
    """A setting determines what test types do with a production key."""
    with Sandbox(latency_s=0, fulfilment_s=0, production_test_types=rule) as sandbox:
        key = sandbox.add_key("PRODUCTION")
        order_id = order(sandbox, key)
        assert ask(sandbox, key, f"gift-cards/checkOrder/{order_id}").json()["data"]["status"] == status


@pytest.mark.parametrize(("style", "form"), [("uuid", "[0-9a-f-]{36}"), ("sk", "sk_(test|live)_[0-9a-f]{32}")])
def test_key_style(style, form):
    """Keys have the form that was set, differ, and are not in the repr."""
    with Sandbox(key_style=style) as sandbox:
        sandbox.add_key("PRODUCTION")
        sandbox.add_key(scope="READ-ONLY")
        texts = [key.key for key in sandbox.keys]
    assert len(set(texts)) == 3
    assert all(re.fullmatch(form, text) for text in texts)
    assert not any(text in repr(sandbox.keys) for text in texts)


@pytest.mark.parametrize("bad", [{"type": "TEST"}, {"scope": "READ"}, {"allowed_ips": "127.0.0.1"}, {"enabled": 1}])
def test_bad_key_property(sandbox, bad):
    """A wrong property of a key is an error with its name."""
    [name] = bad
    with pytest.raises(ValueError, match=f"{name} must be .*, got "):
        sandbox.add_key(**bad)
    assert len(sandbox.keys) == 1


def test_keys_from_seed():
    """The same seed gives the same further keys."""

    def drawn():
        with Sandbox(5) as sandbox:
            return [sandbox.api_key, sandbox.add_key(), sandbox.add_key("PRODUCTION")]

    assert drawn() == drawn()
    assert isinstance(Client(drawn()[1]), Client)
