"""The course of a calibration, and what comes of it."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from os import PathLike

import pandas as pd

from giftlib.api import Client, ProductionKeyError, check_count, check_type
from giftlib.connection import current_client
from giftlib.journal import Journal
from giftlib.sandbox.settings import Settings
from giftlib.sandbox.validators import default_of

from .findings import read_latency, read_lists, read_money, read_partial, read_prices, read_times
from .list_lag import Watch
from .probes import (
    Offer,
    ask_about_a_final_order,
    ask_about_ids,
    ask_about_lists,
    ask_about_purchases,
    ask_about_the_balance,
    ask_about_the_catalogue,
    ask_about_the_key,
    ask_about_the_order_of_lists,
)
from .sample_orders import buy_many, follow_a_refund, look_at_the_transactions, try_an_order, watch_more
from .session import NOT_LOOKED_FOR, UNCLEAR, Finding, Inquiry

_IMPOLITE_OR_UNSEEN = {
    "rate_limit_per_minute", "production_rate_limit_per_minute", "lockout_attempts", "lockout_s", "attempts_left_in",
    "bad_key_code", "key_type", "key_style", "production_test_types", "max_quantity", "order_ref", "prices",
    "path_style", "list_mixes_environments", "check_balance", "balance_code",
}  # fmt: skip
_DEFAULTS = {declared.name: default_of(declared) for declared in fields(Settings)}


@dataclass(frozen=True)
class Calibration:
    """What was found, by the name of the setting or of what is none.

    Intervals of times hold the truth with 99.9 % confidence, or for certain where every order or answer took the
    same time and where lists are late. Orders whose spans all have a moment in common are said to have taken the same
    time, also if a law as narrow as that made them.
    """

    findings: Mapping[str, Finding]

    def __repr__(self) -> str:
        table = self.table()
        table = table[table["setting"].isin(list(_DEFAULTS))]
        unclear, absent = ((table["found"] == reason).sum() for reason in (UNCLEAR, NOT_LOOKED_FOR))
        found = len(table) - unclear - absent
        return f"Calibration({found} settings found, {table['differs'].sum()} of them differ, {unclear} unclear)"

    @property
    def settings(self) -> Settings:
        """The settings found, for an emulator; those not found have their defaults.

        Allowed addresses are left out unless 127.0.0.1 is among them: the emulator would answer nobody.
        """
        settings = {name: finding for name, finding in self.findings.items() if name in _DEFAULTS}
        found = {name: finding.value for name, finding in settings.items() if finding.is_found}
        if "127.0.0.1" not in found.get("allowed_ips", ()):
            found.pop("allowed_ips", None)
        return Settings.of(**found)

    def table(self) -> pd.DataFrame:
        """One row a setting that can be found, then one for each other thing that was.

        Columns: setting, default ("no setting" for the others), found (a text where nothing was), differs (of an
        estimated time: whether the default lies outside its interval), low and high (seconds; NaN but for times),
        evidence (request ids, counts, order ids; or why nothing was found).
        """
        rows = [
            (name, _DEFAULTS.get(name, "no setting"), finding.value, _differs(name, finding), finding.low, finding.high,
             finding.evidence)
            for name, finding in self.findings.items()
        ]  # fmt: skip
        columns = ["setting", "default", "found", "differs", "low", "high", "evidence"]
        table = pd.DataFrame(rows, columns=columns, dtype=object)
        return table.astype({"setting": "str", "differs": bool, "low": float, "high": float, "evidence": "str"})

    def write(self, path: str | PathLike[str]) -> None:
        """Write the settings to a file for `GIFTLIB_SANDBOX_SETTINGS` and `Settings.read`."""
        self.settings.write(path)


def calibrate(client: Client | None = None, *, orders: int = 100, journal: Journal | None = None) -> Calibration:
    """Find out what the API does, from about `orders` orders with two requests for each and sixty to a hundred more;
    where orders take a minute and longer, with up to five for each.

    No request goes over the key's ceiling, none shows a wrong key. An answer that tells nothing makes what was asked
    "unclear", and that is all it does. The orders and looks go to the `journal`. ProductionKeyError, before anything
    is bought, for a key that is not a sandbox key, `allow_production` or not; AuthenticationError once the key is
    refused.

    Not looked for, because asking would be bad manners: the ceilings, the lock-out and what a wrong key gets, and what
    a balance too low or a quantity too large gets. Because a sandbox key cannot show them: what production keys get,
    lists that mix environments, how keys look. And the Arabic documents' forms (paths, ref), which giftlib does not
    speak, and prices set for single types.
    """
    client = current_client(client)
    check_count("orders", orders)
    inquiry = Inquiry(client, Journal() if journal is None else check_type("journal", journal, Journal))
    inquiry.require_key_type()
    if client.key_type != "SANDBOX":
        raise ProductionKeyError(f"the key's type is {client.key_type or 'unknown'}, not SANDBOX: it is not calibrated")
    client.limit_rate()
    scope = ask_about_the_key(inquiry)
    if scope is not None:
        inquiry.found("key_scope", scope, "validate")
    ask_about_the_balance(inquiry)
    offers = ask_about_the_catalogue(inquiry)
    ask_about_ids(inquiry)
    ask_about_lists(inquiry)
    if scope != "READ-ONLY":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is refused or late is among the findings
            _learn_from_orders(inquiry, offers, orders)
    ask_about_the_order_of_lists(inquiry)
    read_latency(inquiry)
    inquiry.found("headers", ", ".join(sorted(inquiry.header_names)), f"{len(inquiry.latencies)} answers")
    settings = [name for name in _DEFAULTS if name not in _IMPOLITE_OR_UNSEEN]
    others = [name for name in inquiry.findings if name not in _DEFAULTS]
    missing = Finding(NOT_LOOKED_FOR, "no order was placed", is_found=False)
    return Calibration({name: inquiry.findings.get(name, missing) for name in [*settings, *others]})


def _learn_from_orders(inquiry: Inquiry, offers: list[Offer], orders: int) -> None:
    tried = try_an_order(inquiry, offers)
    if tried is None:
        return
    item, bought = tried
    watches = [Watch(inquiry, bought)]
    watches[0].until_all_is_seen()
    look_at_the_transactions(inquiry, bought)
    ask_about_purchases(inquiry, item, offers)
    refund = follow_a_refund(inquiry) if watches[0].final else None
    watches += [] if refund is None else [refund.watch]
    patiently = any(watch.final for watch in watches)
    if patiently and not all(watch.list_was_prompt for watch in watches):
        watches += watch_more(inquiry, item)
    read_lists(inquiry, watches)
    bought_here = buy_many(inquiry, item, offers, orders, patiently=patiently)
    read_times(inquiry, bought_here)
    read_partial(inquiry, bought_here)
    read_prices(inquiry, bought_here, offers)
    with_cards = bought_here.loc[bought_here["fulfilled_quantity"].fillna(0) > 0, "order_id"]
    ask_about_a_final_order(inquiry, with_cards.iloc[-1] if len(with_cards) else bought.order_id)
    ask_about_the_balance(inquiry)
    read_money(inquiry, bought_here, refund)


def _differs(name: str, finding: Finding) -> bool:
    default = _DEFAULTS.get(name)
    if name not in _DEFAULTS or not finding.is_found or finding.value == default:
        return False
    return default is None or finding.low is None or finding.high is None or not finding.low <= default <= finding.high
