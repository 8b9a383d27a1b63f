"""The steps of a calibration, and what it returns."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike

import pandas as pd

from giftlib.api import Client, check_count, check_type
from giftlib.connection import current_client
from giftlib.journal import Journal
from giftlib.sandbox import Settings

from . import durations, probes, samples
from .session import DEFAULTS, NOT_SEARCHED, UNCLEAR, CalibrationSession, Finding

_IMPOLITE_OR_UNSEEN = {
    "rate_limit_per_minute", "production_rate_limit_per_minute", "lockout_attempts", "lockout_s", "attempts_left_in",
    "bad_key_code", "key_type", "key_style", "production_test_types", "max_quantity", "order_ref", "prices",
    "path_style", "list_mixes_environments", "check_balance", "balance_code",
    "outcomes", "catalog_test_types", "head", "wrong_method", "content_type", "encoded_paths", "preflight",
    "validation_wording", "open_list_rows",
}  # fmt: skip


@dataclass(frozen=True)
class Calibration:
    """Hold what was found, by the name of the setting or of what no setting describes.

    Intervals of times hold the truth with 99.9 % confidence, or for certain where every order or response took the same
    time and where lists lag. Orders are taken to have needed the same time if all their intervals have one in common.

    >>> from giftlib import Sandbox
    >>> with Sandbox(seed=1, partial_rounding="up") as sandbox:
    ...     calibration = calibrate(sandbox.client(), orders=10)
    >>> calibration.settings.partial_rounding
    'up'
    """

    findings: Mapping[str, Finding]

    def __repr__(self) -> str:
        table = self.table()
        table = table[table["setting"].isin(list(DEFAULTS))]
        unclear, absent = ((table["found"] == reason).sum() for reason in (UNCLEAR, NOT_SEARCHED))
        found = len(table) - unclear - absent
        return f"Calibration({found} settings found, {table['differs'].sum()} of them differ, {unclear} unclear)"

    @property
    def settings(self) -> Settings:
        """Return the settings found, for an emulator; those not found have their defaults.

        Allowed addresses are left out unless 127.0.0.1 is among them: the emulator would reject every request.
        """
        found = {name: each.value for name, each in self.findings.items() if name in DEFAULTS and each.is_found}
        if "127.0.0.1" not in found.get("allowed_ips", ()):
            found.pop("allowed_ips", None)
        return Settings.of(**found)

    def table(self) -> pd.DataFrame:
        """Return one row per setting that can be found, then one for each other thing that was.

        Columns: setting, default ("no setting" for the others), found (a text where nothing was), differs (of an
        estimated time: whether the default lies outside its interval), low and high (seconds; NaN but for times),
        evidence (request ids, counts, order ids; or why nothing was found).
        """
        rows = [
            (name, DEFAULTS.get(name, "no setting"), each.value, _differs(name, each), each.low, each.high,
             each.evidence)
            for name, each in self.findings.items()
        ]  # fmt: skip
        columns = ["setting", "default", "found", "differs", "low", "high", "evidence"]
        table = pd.DataFrame(rows, columns=columns, dtype=object)
        return table.astype({"setting": "str", "differs": bool, "low": float, "high": float, "evidence": "str"})

    def write(self, path: str | PathLike[str]) -> None:
        """Write the settings to a file for `GIFTLIB_SANDBOX_SETTINGS` and `Settings.read`."""
        self.settings.write(path)


def calibrate(client: Client | None = None, *, orders: int = 100, journal: Journal | None = None) -> Calibration:
    """Find out how the API behaves, from about `orders` orders with two requests for each and some hundred more.

    Where orders take a minute and longer there are up to five requests for each. All keep to the key's rate limit.
    Orders and polls go to the `journal`. A response that shows nothing makes what was asked "unclear". Raise
    ProductionKeyError, before anything is placed, for a key that is not a sandbox key, `allow_production` or not;
    AuthenticationError once the key is rejected.

    Not searched, because asking would be bad manners: the rate limits, the lock-out and the response to a wrong key,
    to a balance too low and to a quantity too large. Because a sandbox key cannot show them: what production keys get,
    lists that mix environments, how keys look. What a caller chooses (outcomes, test types in the catalogue), and how
    the API treats requests that giftlib never sends (its router, the wording of 400, rows of open orders). And the
    Arabic documents' forms (paths, ref), which giftlib does not speak, and prices set for single types.

    >>> from giftlib import Sandbox
    >>> with Sandbox(seed=1) as sandbox:
    ...     calibrate(sandbox.client(), orders=10)
    Calibration(43 settings found, 0 of them differ, 0 unclear)
    """
    client = current_client(client)
    check_count("orders", orders)
    session = CalibrationSession(client, Journal() if journal is None else check_type("journal", journal, Journal))
    session.require_sandbox_key()
    client.limit_rate()
    probes.find_key(session)
    probes.find_balance(session)
    offers = probes.find_catalogue(session)
    probes.find_rejections(session)
    if session.findings["key_scope"].value != "READ-ONLY":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is rejected or late is among the findings
            _learn_from_orders(session, offers, orders)
    probes.find_list_order(session)
    durations.find_latency(session)
    headers = sorted({name for response in session.responses for name in response.header_names})
    session.found("headers", ", ".join(headers), f"{len(session.responses)} responses")
    settings = [name for name in DEFAULTS if name not in _IMPOLITE_OR_UNSEEN]
    session.missing("no order was placed", *settings, found=NOT_SEARCHED)
    others = [name for name in session.findings if name not in DEFAULTS]
    return Calibration({name: session.findings[name] for name in [*settings, *others]})


def _learn_from_orders(session: CalibrationSession, offers: list[probes.Offer], count: int) -> None:
    tried, first = samples.try_order(session, offers), None
    if tried is None:
        return
    item, order_id = tried
    with session.finding():
        first = samples.watch(session, order_id, in_list=True)
    with session.finding():
        samples.count_transactions(session, order_id)
    wrong_ids = probes.find_wrong_orders(session, item, offers)
    refund = samples.follow_refund(session) if first else None
    samples.place_many(session, item, offers, count if first else 0, wrong_ids)
    durations.find_lists(session)
    durations.find_fulfilment(session)
    samples.find_outcomes(session, offers)
    placed = session.orders()
    with_cards = placed.loc[placed["fulfilled_quantity"].fillna(0) > 0, "order_id"]
    probes.find_final_order(session, with_cards.iloc[-1] if len(with_cards) else order_id)
    probes.find_balance(session)
    samples.find_refunds(session, refund)


def _differs(name: str, finding: Finding) -> bool:
    default = DEFAULTS.get(name)
    if name not in DEFAULTS or not finding.is_found or finding.value == default:
        return False
    return default is None or finding.low is None or finding.high is None or not finding.low <= default <= finding.high
