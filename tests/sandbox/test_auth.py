"""Several keys on one sandbox: environments, scopes, ceilings of their own; asked by plain requests."""

import re

import pytest
import requests

from giftlib import Client, NotFoundError, PermissionDeniedError, ProductionKeyError
from giftlib.sandbox import Sandbox


def ask(sandbox, key, path, method="GET", **kwargs):
    return requests.request(method, f"{sandbox.url}/v3/{path}", headers={"X-Access-Token": key}, timeout=5, **kwargs)


@pytest.fixture
def sandbox():
    with Sandbox(latency_s=0, fulfilment_s=1) as sandbox:
        yield sandbox


def order(sandbox, key, type_id="TEST_REFUND"):
    wish = {"productId": "507f1f77bcf86cd799439011", "typeId": type_id, "quantity": 1}
    return ask(sandbox, key, "gift-cards/placeOrder", "POST", json=wish)


@pytest.mark.parametrize("mixed", [False, True])
def test_orders_of_one_environment_are_unseen_from_the_other(mixed):
    with Sandbox(latency_s=0, list_mixes_environments=mixed) as sandbox:
        keys = {"SANDBOX": sandbox.api_key, "PRODUCTION": sandbox.add_key("PRODUCTION")}
        ids = {kind: order(sandbox, key).json()["data"]["orderId"] for kind, key in keys.items()}
        assert len(set(ids.values())) == 2 and set(sandbox.truth()) == set(ids.values())
        for kind, key in keys.items():
            seen = {
                other for other in ids if ask(sandbox, key, f"gift-cards/checkOrder/{ids[other]}").status_code == 200
            }
            listed = {row["_id"] for row in ask(sandbox, key, "gift-cards/list").json()["data"]["items"]}
            charged = {row["objid"] for row in ask(sandbox, key, "account/transactions").json()["data"]["items"]}
            assert seen == {kind} and charged == {ids[kind]}
            assert listed == (set(ids.values()) if mixed else {ids[kind]})


def test_keys_of_one_environment_share_its_account(sandbox):
    other = sandbox.add_key()
    order_id = order(sandbox, sandbox.api_key).json()["data"]["orderId"]
    assert ask(sandbox, other, f"gift-cards/checkOrder/{order_id}").status_code == 200


def test_each_key_has_its_own_ceiling(sandbox):
    keys = {"sandbox": sandbox.api_key, "other": sandbox.add_key(), "production": sandbox.add_key("PRODUCTION")}
    passed = dict.fromkeys(keys, 0)
    for _ in range(130):
        for name, key in keys.items():
            passed[name] += ask(sandbox, key, "account/balance").status_code == 200
    assert passed == {"sandbox": 60, "other": 60, "production": 120}


def test_a_read_only_key_cannot_order(sandbox):
    client = sandbox.client(sandbox.add_key(scope="READ-ONLY"))
    assert client.validate().scope == "READ-ONLY"
    with pytest.raises(PermissionDeniedError):
        client.place_order("507f1f77bcf86cd799439011", "type_001", 1)
    assert sandbox.truth() == {}


@pytest.mark.parametrize(
    ("properties", "code"),
    [({"enabled": False}, "API_DISABLED"), ({"allowed_ips": ("203.0.113.7",)}, "IP_NOT_ALLOWED")],
)
def test_a_key_that_may_not_be_used_is_told_why(sandbox, properties, code):
    answer = ask(sandbox, sandbox.add_key(**properties), "account/balance")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, code)


def test_a_client_with_a_production_key_is_careful_and_sees_no_sandbox_order(sandbox):
    client = sandbox.client(sandbox.add_key("PRODUCTION"))
    with pytest.raises(ProductionKeyError):
        client.place_order("507f1f77bcf86cd799439011", "type_001", 1)
    with pytest.raises(NotFoundError):
        client.check_order_status(sandbox.add_orders(1)[0])


@pytest.mark.parametrize(("rule", "status"), [("simulated", "REFUNDED"), ("ordinary", "FULFILLED")])
def test_what_test_types_do_with_a_production_key_is_a_setting(rule, status):
    with Sandbox(latency_s=0, fulfilment_s=0, production_test_types=rule) as sandbox:
        key = sandbox.add_key("PRODUCTION")
        order_id = order(sandbox, key).json()["data"]["orderId"]
        assert ask(sandbox, key, f"gift-cards/checkOrder/{order_id}").json()["data"]["status"] == status


@pytest.mark.parametrize(("style", "form"), [("uuid", "[0-9a-f-]{36}"), ("sk", "sk_(test|live)_[0-9a-f]{32}")])
def test_keys_look_as_they_are_told_to_and_differ(style, form):
    with Sandbox(key_style=style) as sandbox:
        sandbox.add_key("PRODUCTION")
        sandbox.add_key(scope="READ-ONLY")
        texts = [key.key for key in sandbox.keys]
    assert len(set(texts)) == 3
    assert all(re.fullmatch(form, text) for text in texts)
    assert not any(text in repr(sandbox.keys) for text in texts)


@pytest.mark.parametrize("bad", [{"type": "TEST"}, {"scope": "READ"}, {"allowed_ips": "127.0.0.1"}, {"enabled": 1}])
def test_a_bad_property_of_a_key_is_refused_by_name(sandbox, bad):
    [name] = bad
    with pytest.raises(ValueError, match=f"{name} must be .*, got "):
        sandbox.add_key(**bad)
    assert len(sandbox.keys) == 1


def test_the_same_seed_gives_the_same_further_keys():
    def drawn():
        with Sandbox(5) as sandbox:
            return [sandbox.api_key, sandbox.add_key(), sandbox.add_key("PRODUCTION")]

    assert drawn() == drawn()
    assert isinstance(Client(drawn()[1]), Client)
