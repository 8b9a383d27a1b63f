"""The verdict: what a report says of journals in which something is the matter, and of one in which all is well."""

import dataclasses
import re
from contextlib import redirect_stderr
from decimal import Decimal
from io import StringIO

import pandas as pd
import pytest
from reporting import head_of, manifest_of, page_of
from samples import ORDER_ID, PRODUCT

from giftlib import Journal, OrderOutcomeUnknownError, place_order, poll_order_until_complete, process_orders
from giftlib.api import Transaction
from giftlib.cli import main
from giftlib.report import compare_reports
from giftlib.report.checks import Requirement, checks_of, verdict_of
from giftlib.report.measured import Measured
from giftlib.report.recorded import read_recorded, transactions_of
from giftlib.sandbox import Fault, Sandbox

NONE = pd.DataFrame({"state": []})


def place(path, orders, *, open_orders=0, **settings):
    """Place orders with an emulator; give the account's transactions. The last orders stay open."""
    with Sandbox(5, latency_s=0, fulfilment_s=8, **settings) as sandbox, Journal(path) as journal:
        client = sandbox.client()
        types = ["TEST_REFUND" if number % 10 == 9 else "type_001" for number in range(orders - open_orders)]
        process_orders([(PRODUCT, type_id, 3) for type_id in types], client=client, journal=journal)
        for _ in range(open_orders):
            sandbox.next_order(after_s=5000)
        if open_orders:
            with pytest.warns(UserWarning, match="still being processed"):
                process_orders([(PRODUCT, "type_001", 3)] * open_orders, client=client, journal=journal, timeout=60)
        pages = range(1, client.transactions(page_size=100).total_pages + 1)
        return pd.DataFrame(dataclasses.asdict(row) for page in pages for row in client.transactions(page, 100))


def read(path, transactions=None):
    recorded = read_recorded(path)
    if transactions is not None:
        recorded = recorded._replace(accounts=[transactions])
    return Measured(recorded.orders, recorded.polls, recorded.intents, transactions_of(recorded))


@pytest.mark.parametrize(
    ("orders", "settings", "verdict"),
    [
        (80, {}, "Green: all is well."),
        (90, {"open_orders": 9}, "Amber: 9 of 90 orders are open; up to 13,230 DA are in flight; "
                                 "there is no upper limit for how long the slowest 5 % take."),
        (20, {"refunds": "missing"}, "Red: 2,940 DA of refunds are missing."),
        (8, {}, "Amber: too few final orders to say how long the slowest 5 % take."),
    ],
    ids=["all well", "open", "refund missing", "too few"],
)  # fmt: skip
def test_verdict(tmp_path, orders, settings, verdict):
    """The four reports of which a reader has ten seconds say in one sentence what is the matter."""
    transactions = place(tmp_path / "own.sqlite", orders, **settings)
    measured = read(tmp_path / "own.sqlite", transactions)
    assert str(verdict_of(checks_of(measured))) == verdict


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A report with a missing refund and thresholds, of which one is not met; exit code, folder and what it said."""
    folder = tmp_path_factory.mktemp("judged")
    place(folder / "own.sqlite", 20, refunds="missing").to_csv(folder / "account.csv", index=False)
    arguments = ["report", "--journal", str(folder / "own.sqlite"), "--out", str(folder / "out")]
    required = ["--require", "median<=15s", "--require", "refunds=reconciled", "--require", "open = 0"]
    with redirect_stderr(StringIO()) as error:
        code = main([*arguments, "--transactions", str(folder / "account.csv"), *required])
    return code, folder / "out", error.getvalue()


def test_first_screen(judged):
    """The page begins with the verdict in words, and shows the evidence behind it."""
    page = page_of(judged[1])
    assert '<p class="verdict red">Red: 2,940 DA of refunds are missing.</p>' in head_of(judged[1])
    assert '<a class="red" href="#mismatches">✗ Refunds</a>' in head_of(judged[1])
    evidence = page[page.index('<h3 id="mismatches">') :].partition("</table>")[0]
    assert evidence.count("refund missing") == 2
    assert manifest_of(judged[1])["verdict"] == "Red: 2,940 DA of refunds are missing."


def test_exit_code(judged):
    """A threshold that is not met is exit code 3, and named on stderr; the page shows each with what was found."""
    code, out, error = judged
    assert code == 3
    assert error == "giftlib: required refunds = reconciled, found 20 of 20 orders compared, 2 mismatches\n"
    required = page_of(out).partition('<h3 id="required">')[2].partition("</table>")[0]
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td>\s*<td class=.*?>(.*?)</td>", required)
    assert [(limit, result) for limit, _, result in rows] == [
        ("median &lt;= 15 s", "met"), ("refunds = reconciled", "not met"), ("open = 0", "met"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("median<=8.5", True), ("median<5s", False), ("p95 > 1 s", True), ("p99<=60s", True), ("open=0", True),
        ("orders>=20", True), ("orders<20", False), ("failed_polls<=1%", True), ("failed_polls=0", True),
        ("rate_limited=0%", True), ("problems=0", True), ("unknown=0", True), ("verdict=green", False),
        ("refunds=reconciled", True),
    ],
)  # fmt: skip
def test_requirement(few, text, met):
    """Each threshold is compared with what was measured."""
    assert Requirement.read(text).judge(few).met == met


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    path = tmp_path_factory.mktemp("few") / "own.sqlite"
    return read(path, place(path, 20))


@pytest.mark.parametrize(
    "text",
    ["median", "median<=", "median<=15%", "median==15", "p00<=1s", "p100<=1s", "open<=3s", "open=-1", "refunds<=1",
     "refunds=green", "verdict=amber", "speed<=3", "median<=15s;open=0", "<=3", "median<=1e3s", "median<=nan"],
)  # fmt: skip
def test_no_requirement(text):
    """What is no threshold is not taken for one."""
    with pytest.raises(ValueError, match=re.escape(text)):
        Requirement.read(text)


def test_not_reconciled(few):
    """Without transactions refunds are not checked: no fault, but not reconciled either."""
    without = Measured(few.orders, few.polls, NONE, {})
    [check] = [check for check in checks_of(without) if check.name.startswith("Refunds")]
    assert (check.outcome, check.name) == ("green", "Refunds (not checked)")
    assert not Requirement.read("refunds=reconciled").judge(without).met


def test_partly_reconciled(few):
    """Where the transactions of some sources are missing, the check's name says how many orders were compared."""
    orders = pd.concat([few.orders, few.orders.assign(source="other")])
    rows = pd.DataFrame(columns=list(Transaction.__dataclass_fields__))
    [check] = [
        check for check in checks_of(Measured(orders, few.polls, NONE, {"other": rows})) if "Refunds" in check.name
    ]
    assert check.name == "Refunds (20 of 40 checked)"
    assert not Requirement.read("refunds=reconciled").judge(Measured(orders, few.polls, NONE, {"other": rows})).met


@pytest.mark.parametrize(
    ("change", "outcome", "sentence"),
    [
        (lambda rows: rows[rows["type"] != "REFUND-ORDER"], "red", "2,940 DA of refunds are missing"),
        (lambda rows: rows.assign(amount=rows["amount"].where(rows["type"] == "ORDER", Decimal("1469.99"))), "red",
         "0.02 DA of refunds are missing"),
        (lambda rows: rows.replace({"object_id": {rows["object_id"].iloc[-1]: ORDER_ID}}), "red", "no charge"),
        (lambda rows: pd.concat([rows, rows.iloc[-1:].assign(object_id=ORDER_ID, transaction_id="t")]), "amber",
         "1 transaction of the account belongs to no order here"),
    ],
    ids=["missing", "a centime", "of another order", "one more"],
)  # fmt: skip
def test_refunds(tmp_path, change, outcome, sentence):
    """The account differs by a centime, or has what no order explains."""
    rows = place(tmp_path / "own.sqlite", 20)
    rows = change(rows.assign(old_balance=None, new_balance=None))
    [check] = [check for check in checks_of(read(tmp_path / "own.sqlite", rows)) if check.name == "Refunds"]
    assert check.outcome == outcome
    assert sentence in check.sentence


def refunds_found(tmp_path, change):
    """What is said of 20 orders with two refunds of 1,470 DA each when their transactions are changed."""
    rows = place(tmp_path / "own.sqlite", 20).assign(old_balance=None, new_balance=None)
    measured = read(tmp_path / "own.sqlite", change(rows, *rows.index[rows["type"] == "REFUND-ORDER"]))
    [check] = [check for check in checks_of(measured) if check.name.startswith("Refunds")]
    return measured, check


def paid(rows, at, amount):
    return rows.assign(amount=rows["amount"].where(rows.index != at, amount))


@pytest.mark.parametrize("too_much", [490, 1470, 2000])
@pytest.mark.usefixtures("cells_not_run")
def test_too_much(tmp_path, too_much):
    """What is refunded too much for one order does not make up for what is missing for another."""
    measured, check = refunds_found(
        tmp_path, lambda rows, one, other: paid(rows, one, Decimal(1470 + too_much)).drop(other)
    )
    assert (measured.missing, measured.too_much, check.outcome) == (1470, too_much, "red")
    assert check.sentence == f"1,470 DA of refunds are missing; {too_much:,} DA of refunds are too much"


@pytest.mark.usefixtures("cells_not_run")
def test_refund_without_amount(tmp_path):
    """A refund that came without its amount is not missing but differs, and is named beside those that are missing."""
    measured, check = refunds_found(tmp_path, lambda rows, one, other: paid(rows, one, None).drop(other))
    assert measured.missing == 1470
    assert check.sentence == (
        "1,470 DA of refunds are missing; the account does not match the orders: refund differs (1)"
    )


def without_price(data):
    """What the API returned, without any price."""
    if isinstance(data, dict):
        return {name: without_price(value) for name, value in data.items() if name != "price_per_card"}
    return [*map(without_price, data)] if isinstance(data, list) else data


@pytest.fixture(scope="module")
def unpriced(tmp_path_factory):
    """A journal of six refunded orders without a price, and the file of their transactions."""
    folder = tmp_path_factory.mktemp("unpriced")
    fault = Fault("*", rate=1.0, alter=without_price)
    with Sandbox(5, latency_s=0, faults=[fault]) as sandbox, Journal(folder / "own.sqlite") as journal:
        client = sandbox.client()
        process_orders([(PRODUCT, "TEST_REFUND", 1)] * 6, client=client, journal=journal)
        rows = pd.DataFrame(map(dataclasses.asdict, client.all_transactions()))
    rows.to_csv(folder / "account.csv", index=False)
    return folder / "own.sqlite", folder / "account.csv"


@pytest.mark.usefixtures("cells_not_run")
def test_refund_due_not_known(unpriced, tmp_path, capsys):
    """An order whose refund is not known is not reconciled; that fields are missing is amber."""
    path, account = unpriced
    arguments = ["report", "--journal", str(path), "--transactions", str(account), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--require", "refunds=reconciled"]) == 3
    assert "found 0 of 6 orders compared" in capsys.readouterr().err
    head = head_of(tmp_path / "out")
    assert "Refunds (0 of 6 checked)" in head and "; 6 amounts not known" in head
    checks = {check["name"].partition(" (")[0]: check for check in manifest_of(tmp_path / "out")["checks"]}
    assert checks["Contradictions"]["outcome"] == "amber"
    assert checks["Contradictions"]["sentence"] == "the responses about 6 orders lack fields"
    assert checks["Refunds"]["outcome"] == "amber"
    assert checks["Refunds"]["sentence"] == "the refunds due for 6 orders are not known"


@pytest.mark.parametrize(
    ("final", "open_types", "in_flight"),
    [
        (["type_001"], ["type_001"] * 2, "up to 2,940 DA"),
        (["type_001"], ["type_001", "type_002"], "at least 1,470 DA (1 order of unknown price)"),
        ([], ["type_001"] * 2, "2 orders of unknown price"),
    ],
    ids=["all priced", "one priced", "none priced"],
)
@pytest.mark.usefixtures("cells_not_run")
def test_in_flight(tmp_path, final, open_types, in_flight):
    """Head, verdict and comparison say the same of the money in flight, and no 0 where it is not known."""
    path, out = tmp_path / "own.sqlite", tmp_path / "out"
    with Sandbox(5, latency_s=0, fulfilment_s=8) as sandbox, Journal(path) as journal:
        client = sandbox.client()
        process_orders([(PRODUCT, type_id, 3) for type_id in final], client=client, journal=journal)
        for type_id in open_types:
            sandbox.next_order(after_s=5000)
            place_order(PRODUCT, type_id, 3, client=client, journal=journal)
    assert main(["report", "--journal", str(path), "--out", str(out), "--compare", str(path)]) == 0
    assert f"; {in_flight} in flight</span>" in head_of(out)
    assert f"open; {in_flight} are in flight" in manifest_of(out)["verdict"]
    assert page_of(out).count(f"<td>{in_flight}</td>") == 2
    changes = compare_reports(path, out).set_index("what")
    assert changes.loc["in flight", ["earlier", "now"]].tolist() == [in_flight] * 2


@pytest.mark.parametrize(
    ("faults", "name", "outcome", "sentence"),
    [
        ([Fault("checkOrder", call=2, status=503)], "Failed polls", "amber", "1 of 4 polls failed"),
        ([Fault("checkOrder", call=2, status=429)], "Rate limit", "amber", "1 of 4 polls met the rate limit (429)"),
        ([Fault.commit_then_drop()], "Requests answered", "amber", "the outcome of 1 order request is unknown"),
    ],
    ids=["503", "429", "lost"],
)
def test_faults(tmp_path, faults, name, outcome, sentence):
    """Failed polls, rate-limit hits and order requests of unknown outcome are counted."""
    path = tmp_path / "own.sqlite"
    with Sandbox(1, latency_s=0, fulfilment_s=12, faults=faults) as sandbox, Journal(path) as journal:
        to = {"client": sandbox.client(), "journal": journal}
        if name == "Requests answered":
            with pytest.raises(OrderOutcomeUnknownError):
                place_order(PRODUCT, "type_001", 1, **to)
        poll_order_until_complete(place_order(PRODUCT, "type_001", 1, **to), **to)
    [check] = [check for check in checks_of(read(tmp_path / "own.sqlite")) if check.name == name]
    assert check.outcome == outcome
    assert sentence in check.sentence


def test_undocumented_status(tmp_path):
    """A poll that showed an undocumented status has not failed."""
    on_hold = Fault("checkOrder", call=2, alter=lambda data: data | {"status": "ON_HOLD"})
    path = tmp_path / "own.sqlite"
    with Sandbox(1, latency_s=0, fulfilment_s=12, faults=[on_hold]) as sandbox, Journal(path) as journal:
        order_id = place_order(PRODUCT, "type_001", 1, client=sandbox.client(), journal=journal)
        with pytest.warns(UserWarning, match="ON_HOLD"):
            poll_order_until_complete(order_id, client=sandbox.client(), journal=journal)
        assert "ON_HOLD" in set(journal.polls()["outcome"])
    measured = read(path)
    [check] = [check for check in checks_of(measured) if check.name == "Failed polls"]
    assert (check.outcome, check.sentence) == ("green", "no poll failed")
    assert Requirement.read("failed_polls=0").judge(measured).met


def test_tolerated(few):
    """One failed poll in a hundred is tolerated, two are not."""
    for failed, outcome in ((1, "green"), (2, "amber")):
        polls = pd.DataFrame({"failed": [True] * failed + [False] * (100 - failed), "http_status": pd.NA})
        [check] = [check for check in checks_of(Measured(few.orders, polls, NONE, {})) if check.name == "Failed polls"]
        assert check.outcome == outcome


@pytest.mark.parametrize(
    ("problems", "verdict"),
    [
        (["delivered 4 of 3 cards"], "Red: the responses about 1 order contradict each other."),
        (
            ["delivered 4 of 3 cards", "quantity is missing"],
            "Red: the responses about 1 order contradict each other and about 1 order lack fields.",
        ),
        (["quantity is missing; quantity is not a number"], "Red: the responses about 1 order contradict each other."),
    ],
)
def test_contradiction(few, problems, verdict):
    """A response that cannot be right is red, whatever else is well; one that lacks fields alone is amber."""
    orders = few.orders.assign(problems=problems + [""] * (20 - len(problems)))
    assert str(verdict_of(checks_of(Measured(orders, few.polls, NONE, {})))) == verdict
