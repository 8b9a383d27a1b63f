"""Calibration against emulators whose settings it is not told."""

import os
import random
from dataclasses import fields
from decimal import Decimal
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from giftlib import AuthenticationError, Client, Journal, NoAnswerError, ProductionKeyError
from giftlib.calibration import Calibration, calibrate
from giftlib.calibration.estimates import lognormal, roundest, same_time
from giftlib.calibration.session import Finding
from giftlib.cli import main
from giftlib.sandbox import Fault, Sandbox, Settings, at_rate

DRAWS = int(os.environ.get("GIFTLIB_CALIBRATION_DRAWS", "20"))
VALIDATORS = {declared.name: declared.metadata["validator"] for declared in fields(Settings)}
CHOICES = {
    name: VALIDATORS[name].accepted.split(" or ")
    for name in (
        "validate_shape", "partial_rounding", "partial_of_one", "partial_status", "text_quantity", "unknown_body_keys",
        "card_serials", "category_key", "catalog_totals_in", "product_id_key", "malformed_id", "list_order",
        "large_page", "page_overflow", "refunds", "code_separator", "message_at", "request_id_in", "request_id_style",
    )
}  # fmt: skip
FLAGS = (
    "check_stock", "available_field", "cost_field", "final_order_has_type", "sample_order", "list_needs_both_ends",
    "balance_moves", "transactions_listed", "balance_currency",
)  # fmt: skip


def draw_settings(number):
    """Everything that can be recovered, at once and at random; what no answer could show is left at its default."""
    rng = random.Random(number)

    def dinars(most):
        return Decimal(rng.randint(1, 100 * most)) / 100

    drawn = {name: rng.choice(choices) for name, choices in CHOICES.items()}
    drawn |= {name: rng.random() < 0.5 for name in FLAGS}
    drawn |= {
        "catalog_products": rng.randint(1, 40),
        "opening_balance": 1_000_000 + dinars(9_000_000),
        "test_type_price": dinars(600),
        "unknown_type_price": dinars(600),
        "known_type_price": rng.choice([None, dinars(3000)]),
        "list_lag_s": rng.choice([0.0, round(rng.uniform(0.5, 15), 1)]),
        "list_hides_s": rng.choice([0.0, round(rng.uniform(0.5, 15), 1)]),
    }
    if drawn["validate_shape"] == "reference":
        drawn["allowed_ips"] = rng.choice([(), ("127.0.0.1",), ("41.100.3.7", "127.0.0.0/8", "127.0.0.1")])
    if drawn["partial_rounding"] == "up" and drawn["partial_status"] == "FULFILLED":
        del drawn["partial_of_one"]
    if not drawn["transactions_listed"] and not drawn["balance_moves"]:
        del drawn["refunds"]
    for law, constant, median, spread in (
        ("fulfilment", [0.0, round(rng.uniform(0.5, 40), 1)], rng.uniform(2, 20), rng.uniform(1.5, 4)),
        ("latency", [0.0, round(rng.uniform(0.01, 0.5), 3)], rng.uniform(0.02, 0.4), rng.uniform(1.3, 3)),
    ):
        if rng.random() < 0.4:
            drawn[f"{law}_s"] = rng.choice(constant)
        else:
            drawn |= {f"{law}_median_s": median, f"{law}_p95_s": median * spread}
    return drawn


def missed(calibration, truth):
    """The settings that were not found as they are, with what was: a time must lie in its interval."""
    table = calibration.table().set_index("setting")
    wrong = {}
    for name, value in truth.items():
        row = table.loc[name]
        within = row["low"] - 1e-6 <= value <= row["high"] + 1e-6 if row["low"] == row["low"] else row["found"] == value
        if not within:
            wrong[name] = (value, row.to_dict())
    return wrong


@pytest.mark.parametrize("number", range(DRAWS))
def test_hidden_settings_are_recovered_under_the_ceiling(number):
    truth = draw_settings(number)
    with Sandbox(f"hidden {number}", **truth) as sandbox:
        calibration = calibrate(sandbox.client(), orders=100)
    assert missed(calibration, truth) == {}
    assert len(sandbox.requests) <= 2 * 100 + 100
    assert 429 not in {request.status for request in sandbox.requests}


@pytest.fixture(scope="module")
def usual():
    """A calibration of an emulator with its defaults, the emulator, and the journal."""
    with Sandbox(seed=1) as sandbox:
        journal = Journal()
        yield calibrate(sandbox.client(), journal=journal), sandbox, journal


def test_an_emulator_with_its_defaults_differs_in_nothing(usual):
    calibration, sandbox, _ = usual
    assert not calibration.table()["differs"].any()
    assert missed(calibration, {name: getattr(sandbox.settings, name) for name in calibration.settings.changes()}) == {}


def test_every_setting_is_found_or_named_among_those_not_looked_for(usual):
    missing = VALIDATORS.keys() - set(usual[0].table()["setting"])
    assert missing == {
        "rate_limit_per_minute", "production_rate_limit_per_minute", "lockout_attempts", "lockout_s",
        "attempts_left_in", "bad_key_code", "key_type", "key_style", "production_test_types", "max_quantity",
        "order_ref", "prices", "path_style", "list_mixes_environments", "check_balance", "balance_code",
    }  # fmt: skip


def test_each_finding_has_its_evidence(usual):
    table = usual[0].table()
    ids = table["evidence"].str.contains(r"req_\d+_[0-9a-f]{6}|order [0-9a-f]{24}|\d+ (?:answers|looks)|validate")
    assert table["evidence"][~ids].tolist() == []


def test_plain_findings_stand_below_the_settings(usual):
    found = usual[0].table().set_index("setting")["found"]
    assert found["quantity 0"] == "400 ERR_VALIDATION"
    assert found["unknown product id"] == "404 NOT_FOUND"
    assert found["headers"] == "access-control-allow-origin, content-length, content-type, x-request-id"


def test_the_journal_holds_every_order_that_was_bought(usual):
    _, sandbox, journal = usual
    assert set(journal.orders()["order_id"]) == set(sandbox.truth())
    assert journal.unfinished() == []


def test_nothing_shows_the_key_a_code_or_a_serial(usual, tmp_path):
    calibration, sandbox, _ = usual
    calibration.write(tmp_path / "settings.json")
    written = (tmp_path / "settings.json").read_text()
    shown = f"{calibration}{calibration.findings}{calibration.table().to_string()}{written}"
    assert not [secret for secret in (sandbox.api_key, "SANDBOX-CARD-", "SANDBOX-1") if secret in shown]


def test_a_written_file_makes_an_emulator_that_calibrates_to_the_same(tmp_path):
    path = tmp_path / "settings.json"
    with Sandbox("hidden", **draw_settings("a file")) as sandbox:
        first = calibrate(sandbox.client(), orders=40)
    first.write(path)
    with Sandbox("again", settings=Settings.read(path)) as sandbox:
        assert missed(calibrate(sandbox.client(), orders=40), first.settings.changes()) == {}


@pytest.mark.parametrize("allow_production", [False, True])
def test_a_production_key_buys_nothing(allow_production):
    with Sandbox(key_type="PRODUCTION") as sandbox:
        client = Client(sandbox.api_key, sandbox.url, clock=sandbox.clock, allow_production=allow_production)
        with pytest.raises(ProductionKeyError, match="PRODUCTION, not SANDBOX"):
            calibrate(client)
        assert [request.path for request in sandbox.requests] == ["/v3/validate"]


@pytest.mark.parametrize("shape", ["reference", "quickstart", "bills"])
def test_a_key_that_only_reads_leaves_out_what_takes_orders(shape):
    with Sandbox(key_scope="READ-ONLY", validate_shape=shape, catalog_products=9) as sandbox:
        calibration = calibrate(sandbox.client())
        assert sandbox.truth() == {}
    assert missed(calibration, {"key_scope": "READ-ONLY", "catalog_products": 9, "malformed_id": "NOT_FOUND"}) == {}
    found = calibration.table().set_index("setting")["found"]
    assert {found[name] for name in ("fulfilment_s", "partial_rounding", "refunds")} == {"not looked for"}


def test_orders_that_are_never_final_are_told_as_such_and_few_are_bought():
    with Sandbox(fulfilment_s=inf) as sandbox:
        calibration = calibrate(sandbox.client(), orders=100)
        assert len(sandbox.truth()) < 20
    row = calibration.table().set_index("setting").loc["fulfilment_s"]
    assert (row["found"], row["high"], row["low"] > 290) == (inf, inf, True)
    assert calibration.settings.fulfilment_s == inf


def test_an_account_that_cannot_pay_leaves_unclear_what_takes_money():
    with Sandbox(opening_balance=Decimal("13.26"), list_order="oldest first") as sandbox:
        calibration = calibrate(sandbox.client(), orders=20)
    assert missed(calibration, {"opening_balance": Decimal("13.26"), "list_order": "oldest first"}) == {}
    assert calibration.table().set_index("setting").loc["test_type_price", "found"] == "unclear"


@pytest.mark.parametrize("seed", range(4))
def test_a_faulty_server_does_not_end_it_and_nothing_false_is_found(seed):
    with Sandbox(seed, faults=at_rate(0.2), partial_rounding="up", refunds="doubled") as sandbox:
        calibration = calibrate(sandbox.client(), orders=30)
    table = calibration.table()
    assert (table["found"] == "unclear").mean() < 0.3
    clear = set(table[table["found"] != "unclear"]["setting"]) & VALIDATORS.keys()
    assert missed(calibration, {name: getattr(sandbox.settings, name) for name in clear}) == {}


NEEDS = {
    "balance_currency": {"balance"},
    "cost_field": {"catalog", "checkProduct"},
    "large_page": {"list"},
    "malformed_id": {"checkOrder"},
    "text_quantity": {"placeOrder"},
}


@pytest.mark.parametrize("endpoint", ["balance", "catalog", "checkOrder", "checkProduct", "list", "placeOrder"])
@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"status": 404}, {"status": 401}, {"body": b"[]"}, {"alter": lambda _: {}}, {"cut": "after"}],
    ids=["500", "404", "401", "a list", "no fields", "no answer"],
)
def test_an_endpoint_that_fails_leaves_the_others_findings(endpoint, fault):
    with Sandbox(faults=[Fault(endpoint, times=10_000, **fault)]) as sandbox:
        table = calibrate(sandbox.client(), orders=10).table().set_index("setting")
    assert (table["found"] == "unclear").any()
    assert {name for name, needs in NEEDS.items() if table.loc[name, "found"] in ("unclear", "not looked for")} <= {
        name for name, needs in NEEDS.items() if endpoint in needs
    }


def test_a_server_that_falls_silent_leaves_all_unclear():
    with Sandbox(faults=[Fault(call=2, times=10_000, cut="after")]) as sandbox:
        calibration = calibrate(sandbox.client(), orders=10)
    assert set(calibration.table()["found"]) <= {"unclear", "not looked for", ""}
    assert calibration.settings == Settings()


def test_a_key_that_is_refused_is_not_shown_again_and_again():
    with Sandbox(faults=[Fault(call=30, times=10_000, status=401)]) as sandbox:
        with pytest.raises(AuthenticationError):
            calibrate(sandbox.client())
        assert [request.status for request in sandbox.requests].count(401) == 2


def test_what_a_hostile_server_says_does_not_reach_the_table(tmp_path):
    secret = "SECRET-CODE-7"

    def lie(part):
        named = dict.fromkeys(("code", "currency", "orderId", "username", "productId", "status", "type"), secret)
        return {secret: secret, **part, **{name: value for name, value in named.items() if name in part}}

    faults = [
        Fault(endpoint, times=10_000, alter=lie, headers={"X-Request-Id": secret, f"X-{secret}": secret})
        for endpoint in ("validate", "catalog", "checkProduct", "checkOrder", "list", "balance", "transactions")
    ]
    with Sandbox(faults=faults, request_id_in="never") as sandbox:
        calibration = calibrate(sandbox.client(), orders=10)
    calibration.write(tmp_path / "settings.json")
    shown = f"{calibration.findings}{calibration.table().to_string()}{(tmp_path / 'settings.json').read_text()}".upper()
    assert secret not in shown


def test_addresses_of_others_are_told_but_not_set_where_they_would_shut_this_machine_out():
    calibration = Calibration({"allowed_ips": Finding(("41.100.3.7",), "validate")})
    assert calibration.table()["found"].tolist() == [("41.100.3.7",)]
    assert calibration.settings.allowed_ips == ()


def test_from_a_shell_it_prints_what_differs_and_writes_the_settings(tmp_path, monkeypatch, capsys):
    wanted, found = tmp_path / "wanted.json", tmp_path / "found.json"
    Settings.of(fulfilment_s=7.5, partial_rounding="up").write(wanted)
    monkeypatch.setenv("GIFTLIB_SANDBOX_SETTINGS", str(wanted))
    assert main(["calibrate", "--orders", "20", "--out", str(found)]) == 0
    told = capsys.readouterr().out
    assert "partial_rounding" in told
    assert "category_key" not in told
    assert Settings.read(found).partial_rounding == "up"


@pytest.mark.parametrize("wrong", [["--orders", "0"], ["--out", "no/such/folder/file.json"]])
def test_from_a_shell_wrong_arguments_are_refused_before_anything_is_asked(wrong, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["calibrate", *wrong])
    assert f"argument {wrong[0]}: must be" in capsys.readouterr().err


# What it stands on.


def test_ask_gives_whatever_is_answered_and_its_headers_and_latency():
    with Sandbox(latency_s=0.25) as sandbox:
        answer = sandbox.client().request("GET", "gift-cards/checkOrder/nothing")
    assert (answer.status, answer.code) == (404, "NOT_FOUND")
    assert "x-request-id" in answer.header_names
    assert answer.latency_s == pytest.approx(0.25)


def test_ask_raises_where_there_is_no_answer_and_buys_with_no_production_key():
    with Sandbox(key_type="PRODUCTION", faults=[Fault("balance", cut="after")]) as sandbox:
        client = sandbox.client()
        with pytest.raises(NoAnswerError):
            client.request("GET", "account/balance")
        with pytest.raises(ProductionKeyError):
            client.request("POST", "gift-cards/placeOrder", body={})


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "ping"), ("GET", "../ping"), ("GET", "gift-cards//list"), ("GET", "a?b")]
)
def test_ask_refuses_what_is_no_path_or_no_method(method, path):
    with pytest.raises(ValueError, match=r"must be .*, got"):
        Client("some-sandbox-key").request(method, path)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=5), st.floats(0, 100))
def test_one_time_for_all_lies_in_all_their_spans(widths, time):
    spans = np.array([(max(time - before, 0), time + after) for before, after in widths])
    found = same_time(*spans.T)
    assert found.low <= time <= found.high
    assert (spans[:, 0] <= found.value).all()
    assert (found.value <= spans[:, 1]).all()


def test_spans_without_a_time_in_common_have_none():
    assert same_time(np.array([0.0, 3.0]), np.array([2.0, 5.0])) is None


@pytest.mark.parametrize(("low", "high", "value"), [(21.9, 22.04, 22.0), (0.2375, 0.2381, 0.238), (0.0, 0.3, 0.0)])
def test_a_time_is_told_as_whoever_set_it_would_write_it(low, high, value):
    assert roundest(low, high).value == value


@pytest.mark.parametrize("width", [5.0, 1e-3])
def test_the_intervals_of_a_law_hold_the_truth(width):
    rng, held = np.random.default_rng(0), []
    for _ in range(50):
        times = 10 * np.exp(rng.standard_normal(60) * np.log(3) / 1.6448536)
        first_look = rng.uniform(0, width, 60)
        last_open = np.floor((times - first_look) / width) * width + first_look
        median, p95 = lognormal(np.maximum(last_open, 0), last_open + width)
        held += [median.low <= 10 <= median.high, p95.low <= 30 <= p95.high]
        assert median.low < median.value < median.high < p95.high
    assert sum(held) >= 99


@pytest.mark.parametrize("endpoint", ["transactions", "list"])
def test_a_list_that_never_ends_does_not_hold_it_up(endpoint):
    pages = iter(range(2, 10**9))

    def grow(data):
        data["pagination"]["totalPages"] = next(pages)
        return data | ({"items": []} if endpoint == "list" else {})

    with Sandbox(latency_s=0, faults=[Fault(endpoint, times=10**6, alter=grow)]) as sandbox:
        calibrate(sandbox.client(), orders=5)
        assert len(sandbox.requests) < 600


@pytest.mark.parametrize(
    ("told", "written"),
    [
        ([5], ()), ([True], ()), (["fe80::1%SECRET"], ()), (["::1"], ()), (["127.0.0.0/8"], ()),
        (["10.0.0.1", "127.0.0.1"], ("10.0.0.1", "127.0.0.1")),
    ],
)  # fmt: skip
def test_only_addresses_are_taken_for_addresses_and_only_an_emulator_that_answers_is_written(told, written):
    def addresses(data):
        return data | {"apiKey": data["apiKey"] | {"allowedips": told}}

    with Sandbox(latency_s=0, faults=[Fault("validate", times=10**6, alter=addresses)]) as sandbox:
        calibration = calibrate(sandbox.client(), orders=3)
    assert calibration.settings.allowed_ips == written
    assert "SECRET" not in calibration.table().to_csv()


@pytest.mark.parametrize("seed", range(4))
def test_orders_that_take_nearly_the_same_are_not_said_to_take_one_time(seed):
    with Sandbox(f"q{seed}", fulfilment_median_s=4.262, fulfilment_p95_s=5.771, latency_s=0.0) as sandbox:
        found = calibrate(sandbox.client(), orders=60).findings
    assert found["fulfilment_s"].value is None
    assert found["fulfilment_median_s"].low <= 4.262 <= found["fulfilment_median_s"].high
    assert found["fulfilment_p95_s"].low <= 5.771 <= found["fulfilment_p95_s"].high


def test_a_key_that_becomes_a_production_key_buys_no_more():
    with Sandbox(latency_s=0) as sandbox:
        client = sandbox.client()
        client.allow_production = True
        sandbox.inject(Fault("balance", call=1, status=401))
        sandbox.inject(
            Fault("validate", call=3, times=99, alter=lambda d: d | {"apiKey": d["apiKey"] | {"type": "PRODUCTION"}})
        )
        with pytest.raises(ProductionKeyError):
            calibrate(client, orders=10)
        assert sandbox.truth() == {}
