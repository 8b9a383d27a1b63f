"""Calibration of emulators whose settings are hidden from it."""

import os
import random
from dataclasses import fields
from decimal import Decimal
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from thorough import pairs, tries

from giftlib import AuthenticationError, Client, Journal, NoAnswerError, ProductionKeyError
from giftlib.calibration import Calibration, calibrate
from giftlib.calibration.durations import fit_lognormal, roundest, same_time
from giftlib.calibration.session import Finding
from giftlib.cli import main
from giftlib.sandbox import Fault, Sandbox, Settings, at_rate

DRAWS = int(os.environ.get("GIFTLIB_CALIBRATION_DRAWS", tries(3, 20)))
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
    """Everything that can be recovered, at once and at random; what no response could show is left at its default."""
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
    for name, constant, median, spread in (
        ("fulfilment", [0.0, round(rng.uniform(0.5, 40), 1)], rng.uniform(2, 20), rng.uniform(1.5, 4)),
        ("latency", [0.0, round(rng.uniform(0.01, 0.5), 3)], rng.uniform(0.02, 0.4), rng.uniform(1.3, 3)),
    ):
        if rng.random() < 0.4:
            drawn[f"{name}_s"] = rng.choice(constant)
        else:
            drawn |= {f"{name}_median_s": median, f"{name}_p95_s": median * spread}
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
def test_hidden_settings(number, make_sandbox):
    """Hidden settings are all found, within the rate limit."""
    truth = draw_settings(number)
    sandbox = make_sandbox(f"hidden {number}", **truth)
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


def test_defaults(usual):
    """An emulator with its defaults differs in nothing."""
    calibration, sandbox, _ = usual
    assert not calibration.table()["differs"].any()
    assert missed(calibration, {name: getattr(sandbox.settings, name) for name in calibration.settings.changes()}) == {}


def test_settings_not_searched(usual):
    """Every setting is found, or is among those that the docstring names."""
    missing = VALIDATORS.keys() - set(usual[0].table()["setting"])
    assert missing == {
        "rate_limit_per_minute", "production_rate_limit_per_minute", "lockout_attempts", "lockout_s",
        "attempts_left_in", "bad_key_code", "key_type", "key_style", "production_test_types", "max_quantity",
        "order_ref", "prices", "path_style", "list_mixes_environments", "check_balance", "balance_code", "outcomes",
        "catalog_test_types", "head", "wrong_method", "content_type", "encoded_paths", "preflight",
        "validation_wording", "open_list_rows",
    }  # fmt: skip


def test_evidence(usual):
    """Each finding names its responses or orders."""
    table = usual[0].table()
    ids = table["evidence"].str.contains(r"req_\d+_[0-9a-f]{6}|order [0-9a-f]{24}|\d+ (?:responses|polls)|validate")
    assert table["evidence"][~ids].tolist() == []


def test_plain_findings(usual):
    """What no setting describes stands below the settings."""
    found = usual[0].table().set_index("setting")["found"]
    assert found["quantity 0"] == "400 ERR_VALIDATION"
    assert found["unknown product id"] == "404 NOT_FOUND"
    assert found["headers"] == (
        "access-control-allow-origin, content-length, content-type, date, x-emulator-instance, x-request-id"
    )


def test_journal(usual):
    """The journal holds every order that was placed, all of them final."""
    _, sandbox, journal = usual
    assert set(journal.orders()["order_id"]) == set(sandbox.truth())
    assert journal.unfinished() == []


def test_secrets(usual, tmp_path):
    """Nothing shows the key, a card's code or its serial."""
    calibration, sandbox, _ = usual
    calibration.write(tmp_path / "settings.json")
    written = (tmp_path / "settings.json").read_text()
    shown = f"{calibration}{calibration.findings}{calibration.table().to_string()}{written}"
    assert not [secret for secret in (sandbox.api_key, "SANDBOX-CARD-", "SANDBOX-1") if secret in shown]


def test_round_trip(tmp_path, make_sandbox):
    """An emulator with the settings written calibrates to the same settings."""
    path = tmp_path / "settings.json"
    sandbox = make_sandbox("hidden", **draw_settings("a file"))
    first = calibrate(sandbox.client(), orders=40)
    first.write(path)
    sandbox = make_sandbox("again", settings=Settings.read(path))
    assert missed(calibrate(sandbox.client(), orders=40), first.settings.changes()) == {}


@pytest.mark.parametrize("allow_production", [False, True])
def test_production_key(allow_production, make_sandbox):
    """A production key places nothing, `allow_production` or not."""
    sandbox = make_sandbox(key_type="PRODUCTION")
    client = Client(sandbox.api_key, sandbox.url, clock=sandbox.clock, allow_production=allow_production)
    with pytest.raises(ProductionKeyError, match="PRODUCTION, not SANDBOX"):
        calibrate(client)
    assert [request.path for request in sandbox.requests] == ["/v3/validate"]


@pytest.mark.parametrize("shape", ["reference", "quickstart", "bills"])
def test_read_only_key(shape, make_sandbox):
    """With a key that only reads, what takes orders is not searched."""
    sandbox = make_sandbox(key_scope="READ-ONLY", validate_shape=shape, catalog_products=9)
    calibration = calibrate(sandbox.client())
    assert sandbox.truth() == {}
    assert missed(calibration, {"key_scope": "READ-ONLY", "catalog_products": 9, "malformed_id": "NOT_FOUND"}) == {}
    found = calibration.table().set_index("setting")["found"]
    assert {found[name] for name in ("fulfilment_s", "partial_rounding", "refunds")} == {"not searched"}


def test_unknown_paths(make_sandbox):
    """A path that the router does not know says nothing of the API."""
    calibration = calibrate(make_sandbox(path_style="hyphens").client(), orders=1)
    assert calibration.settings.sample_order is True
    found = calibration.findings["sample_order"]
    assert (found.value, found.evidence, found.is_found) == ("unclear", "rejected before the API: 404", False)


def test_test_product(make_sandbox):
    """The product with the test types is none of those that an emulator is told to have."""
    calibration = calibrate(make_sandbox(catalog_products=3, catalog_test_types=True).client(), orders=1)
    assert calibration.findings["catalog_products"].value == 3


def test_never_final(make_sandbox):
    """Orders that are never final are reported so, and few are placed."""
    sandbox = make_sandbox(fulfilment_s=inf)
    calibration = calibrate(sandbox.client(), orders=100)
    assert len(sandbox.truth()) < 20
    row = calibration.table().set_index("setting").loc["fulfilment_s"]
    assert (row["found"], row["high"], row["low"] > 290) == (inf, inf, True)
    assert calibration.settings.fulfilment_s == inf


def test_poor_account(make_sandbox):
    """With an account that cannot pay, what takes money is unclear."""
    sandbox = make_sandbox(opening_balance=Decimal("13.26"), list_order="oldest first")
    calibration = calibrate(sandbox.client(), orders=20)
    assert missed(calibration, {"opening_balance": Decimal("13.26"), "list_order": "oldest first"}) == {}
    assert calibration.table().set_index("setting").loc["test_type_price", "found"] == "unclear"


@pytest.mark.parametrize("seed", range(tries(2, 4)))
def test_faulty_server(seed, make_sandbox):
    """A fault in every fifth request ends nothing, and nothing false is found."""
    sandbox = make_sandbox(seed, faults=at_rate(0.2), partial_rounding="up", refunds="doubled")
    calibration = calibrate(sandbox.client(), orders=30)
    table = calibration.table()
    assert (table["found"] == "unclear").mean() < 0.3
    clear = set(table[table["found"] != "unclear"]["setting"]) & VALIDATORS.keys()
    assert missed(calibration, {name: getattr(sandbox.settings, name) for name in clear}) == {}


CONSTANT = {"fulfilment_s": 8, "latency_s": 0.1}
"""Times of which no distribution has to be fitted."""
NEEDS = {
    "balance_currency": {"balance"},
    "cost_field": {"catalog", "checkProduct"},
    "large_page": {"list"},
    "malformed_id": {"checkOrder"},
    "text_quantity": {"placeOrder"},
}


ENDPOINTS = ["balance", "catalog", "checkOrder", "checkProduct", "list", "placeOrder"]
FAILURES = {
    "500": {"status": 500},
    "404": {"status": 404},
    "401": {"status": 401},
    "a list": {"body": b"[]"},
    "no fields": {"alter": lambda _: {}},
    "no response": {"cut": "after"},
}


@pytest.mark.parametrize(("endpoint", "failure"), pairs(ENDPOINTS, FAILURES))
def test_failing_endpoint(endpoint, failure, make_sandbox):
    """When one endpoint fails, what needs only the others is found."""
    sandbox = make_sandbox(faults=[Fault(endpoint, times=10_000, **FAILURES[failure])], **CONSTANT)
    table = calibrate(sandbox.client(), orders=10).table().set_index("setting")
    assert (table["found"] == "unclear").any()
    assert {name for name, needs in NEEDS.items() if table.loc[name, "found"] in ("unclear", "not searched")} <= {
        name for name, needs in NEEDS.items() if endpoint in needs
    }


def test_silent_server(make_sandbox):
    """When the server falls silent, all is unclear, and the settings are the defaults."""
    sandbox = make_sandbox(faults=[Fault(call=2, times=10_000, cut="after")])
    calibration = calibrate(sandbox.client(), orders=10)
    assert set(calibration.table()["found"]) <= {"unclear", "not searched", ""}
    assert calibration.settings == Settings()


def test_rejected_key(make_sandbox):
    """A rejected key is sent once more, and then never again."""
    sandbox = make_sandbox(faults=[Fault(call=30, times=10_000, status=401)])
    with pytest.raises(AuthenticationError):
        calibrate(sandbox.client())
    assert [request.status for request in sandbox.requests].count(401) == 2


def test_hostile_server(tmp_path, make_sandbox):
    """What a hostile server says reaches neither table nor file."""
    secret = "SECRET-CODE-7"

    def lie(part):
        named = dict.fromkeys(("code", "currency", "orderId", "username", "productId", "status", "type"), secret)
        return {secret: secret, **part, **{name: value for name, value in named.items() if name in part}}

    faults = [
        Fault(endpoint, times=10_000, alter=lie, headers={"X-Request-Id": secret, f"X-{secret}": secret})
        for endpoint in ("validate", "catalog", "checkProduct", "checkOrder", "list", "balance", "transactions")
    ]
    sandbox = make_sandbox(faults=faults, request_id_in="never", **CONSTANT)
    calibration = calibrate(sandbox.client(), orders=10)
    calibration.write(tmp_path / "settings.json")
    shown = f"{calibration.findings}{calibration.table().to_string()}{(tmp_path / 'settings.json').read_text()}".upper()
    assert secret not in shown


def test_addresses_of_others():
    """Addresses that would shut this machine out are found, but not set."""
    calibration = Calibration({"allowed_ips": Finding(("41.100.3.7",), "validate")})
    assert calibration.table()["found"].tolist() == [("41.100.3.7",)]
    assert calibration.settings.allowed_ips == ()


def test_command(tmp_path, monkeypatch, capsys):
    """The command prints what differs and writes the settings."""
    wanted, found = tmp_path / "wanted.json", tmp_path / "found.json"
    Settings.of(fulfilment_s=7.5, partial_rounding="up").write(wanted)
    monkeypatch.setenv("GIFTLIB_SANDBOX_SETTINGS", str(wanted))
    assert main(["calibrate", "--orders", "20", "--out", str(found)]) == 0
    printed = capsys.readouterr().out
    assert "partial_rounding" in printed
    assert "category_key" not in printed
    assert Settings.read(found).partial_rounding == "up"


@pytest.mark.parametrize("wrong", [["--orders", "0"], ["--out", "no/such/folder/file.json"]])
def test_command_arguments(wrong, capsys):
    """The command rejects wrong arguments before anything is sent."""
    with pytest.raises(SystemExit, match="2"):
        main(["calibrate", *wrong])
    assert f"argument {wrong[0]}: must be" in capsys.readouterr().err


# What it stands on.


def test_request(make_sandbox):
    """`Client.request` returns an error response too, with its headers."""
    response = make_sandbox().client().request("GET", "gift-cards/checkOrder/nothing")
    assert (response.status, response.code) == (404, "NOT_FOUND")
    assert "x-request-id" in response.header_names


def test_request_errors(make_sandbox):
    """`Client.request` raises if there is no response, and places nothing with a production key."""
    sandbox = make_sandbox(key_type="PRODUCTION", faults=[Fault("balance", cut="after")])
    client = sandbox.client()
    with pytest.raises(NoAnswerError):
        client.request("GET", "account/balance")
    with pytest.raises(ProductionKeyError):
        client.request("POST", "gift-cards/placeOrder", body={})


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "ping"), ("GET", "../ping"), ("GET", "gift-cards//list"), ("GET", "a?b")]
)
def test_request_arguments(method, path):
    """`Client.request` rejects what is no path or no method."""
    with pytest.raises(ValueError, match=r"must be .*, got"):
        Client("some-sandbox-key").request(method, path)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=5), st.floats(0, 100))
def test_same_time(widths, time):
    """One time for all lies in all their intervals."""
    intervals = np.array([(max(time - before, 0), time + after) for before, after in widths])
    found = same_time(*intervals.T)
    assert found.low <= time <= found.high
    assert (intervals[:, 0] <= found.value).all()
    assert (found.value <= intervals[:, 1]).all()


def test_no_same_time():
    """Intervals without a time in common have none."""
    assert same_time(np.array([0.0, 3.0]), np.array([2.0, 5.0])) is None


@pytest.mark.parametrize(("low", "high", "value"), [(21.9, 22.04, 22.0), (0.2375, 0.2381, 0.238), (0.0, 0.3, 0.0)])
def test_roundest(low, high, value):
    """A time is reported as a person would set it."""
    assert roundest(low, high).value == value


@pytest.mark.parametrize("width", [5.0, 1e-3])
def test_fit_lognormal(width):
    """The 99.9 % intervals hold the median and the 95th percentile of the truth."""
    rng, held = np.random.default_rng(0), []
    for _ in range(tries(15, 50)):
        times = 10 * np.exp(rng.standard_normal(60) * np.log(3) / 1.6448536)
        first_poll = rng.uniform(0, width, 60)
        last_open = np.floor((times - first_poll) / width) * width + first_poll
        median, p95 = fit_lognormal(np.maximum(last_open, 0), last_open + width)
        held += [median.low <= 10 <= median.high, p95.low <= 30 <= p95.high]
        assert median.low < median.value < median.high < p95.high
    assert sum(held) >= len(held) - 1


@pytest.mark.parametrize("endpoint", ["transactions", "list"])
def test_endless_list(endpoint, make_sandbox):
    """A list that grows with every request ends nothing."""
    pages = iter(range(2, 10**9))

    def grow(data):
        data["pagination"]["totalPages"] = next(pages)
        return data | ({"items": []} if endpoint == "list" else {})

    sandbox = make_sandbox(faults=[Fault(endpoint, times=10**6, alter=grow)], **CONSTANT)
    calibrate(sandbox.client(), orders=5)
    assert len(sandbox.requests) < 600


@pytest.mark.parametrize(
    ("reported", "written"),
    [
        ([5], ()), ([True], ()), (["fe80::1%SECRET"], ()), (["::1"], ()), (["127.0.0.0/8"], ()),
        (["10.0.0.1", "127.0.0.1"], ("10.0.0.1", "127.0.0.1")),
    ],
)  # fmt: skip
def test_addresses(reported, written, make_sandbox):
    """Only addresses are taken for addresses, and only settings that let this machine in are written."""

    def addresses(data):
        return data | {"apiKey": data["apiKey"] | {"allowedips": reported}}

    sandbox = make_sandbox(key_scope="READ-ONLY", faults=[Fault("validate", times=10**6, alter=addresses)], **CONSTANT)
    calibration = calibrate(sandbox.client())
    assert calibration.settings.allowed_ips == written
    assert "SECRET" not in calibration.table().to_csv()


@pytest.mark.parametrize("seed", range(tries(1, 4)))
def test_narrow_distribution(seed, make_sandbox):
    """Orders that take nearly the same time are not reported to take one time."""
    sandbox = make_sandbox(f"q{seed}", fulfilment_median_s=4.262, fulfilment_p95_s=5.771, latency_s=0.0)
    found = calibrate(sandbox.client(), orders=60).findings
    assert found["fulfilment_s"].value is None
    assert found["fulfilment_median_s"].low <= 4.262 <= found["fulfilment_median_s"].high
    assert found["fulfilment_p95_s"].low <= 5.771 <= found["fulfilment_p95_s"].high


def test_key_becomes_production(make_sandbox):
    """A key that becomes a production key places nothing more."""
    sandbox = make_sandbox(latency_s=0)
    client = sandbox.client()
    client.allow_production = True
    sandbox.inject(Fault("balance", call=1, status=401))
    sandbox.inject(
        Fault("validate", call=3, times=99, alter=lambda d: d | {"apiKey": d["apiKey"] | {"type": "PRODUCTION"}})
    )
    with pytest.raises(ProductionKeyError):
        calibrate(client, orders=10)
    assert sandbox.truth() == {}
