"""What changed from one report or journal to another: a frame, and that frame as text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from math import isfinite
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple

import pandas as pd

from giftlib.analysis import adjusted, compare_counts, compare_groups, dinars, time_to_fulfilment
from giftlib.api import FINAL
from giftlib.report.compared import Compared, read_compared
from giftlib.report.manifest import DATA
from giftlib.report.measured import Money

_LEVEL = 0.05
_UNKNOWN = "not recorded"
_IDENTICAL = "identical, byte for byte"
_FINAL = [str(status) for status in FINAL]
_WIDTHS = (25, 26, 26, 24, 15)


class _Row(NamedTuple):
    what: str
    values: Iterable[str]
    change: str = ""
    verdict: str | None = None
    p_value: float | None = None


def compare_reports(earlier: Path, now: Path) -> pd.DataFrame:
    """Compare two reports or journals, each a report's folder or a journal's file: a frame with one row per matter.

    Columns, all text: what, earlier, now, change, verdict. The verdicts: "same" and "differs" for what is a fact,
    "changed" and "no change shown" for what depends on chance and is therefore tested, "not tested". The tests are
    those of times (`compare_groups`), outcomes, and orders with a failed poll (permutations); their p-values are
    adjusted for their number, so that one of all is below 0.05 by chance in at most 5 % of comparisons.

    Orders of one API, the one with most orders in both, are compared. Orders that both hold are the same, as for
    `Journal.merge`, and stand for the earlier side in the tests: those that only `now` has are compared with them.

    Raises JournalError for what is no journal, and GiftlibError for a folder without one and a journal without orders.

    >>> from giftlib import Journal, Sandbox, process_orders
    >>> from tempfile import TemporaryDirectory
    >>> with Sandbox(seed=1) as sandbox, TemporaryDirectory() as folder:
    ...     with Journal(f"{folder}/a.sqlite") as journal:
    ...         _ = process_orders([("p", "type_001", 1)] * 9, client=sandbox.client(), journal=journal)
    ...     compare_reports(Path(folder, "a.sqlite"), Path(folder, "a.sqlite")).loc[0, "change"]
    'identical, byte for byte'
    """
    return changes_between(read_compared(earlier), read_compared(now))


def changes_between(earlier: Compared, now: Compared) -> pd.DataFrame:
    """Compare what was read; see `compare_reports`."""
    rows = [*_facts(earlier, now), *_of_orders(earlier, now)]
    tested = [row.p_value for row in rows if row.p_value is not None]
    p_values = iter(adjusted(tested))
    judged = [_judged(row, p_values) for row in rows]
    return pd.DataFrame(judged, columns=["what", "earlier", "now", "change", "verdict"])


def _judged(row: _Row, p_values: Iterator[float]) -> tuple[str, str, str, str, str]:
    earlier, now = row.values
    if row.p_value is None:
        return row.what, earlier, now, row.change, row.verdict or ("same" if earlier == now else "differs")
    p_value = next(p_values)
    shown = f"p = {p_value:.3f}" if p_value >= 0.001 else "p < 0.001"
    verdict = "changed" if p_value <= _LEVEL else "no change shown"
    return row.what, earlier, now, ", ".join(filter(None, [row.change, shown])), verdict


def in_one_line(changes: pd.DataFrame) -> str:
    """Say what changed, in one line.

    >>> in_one_line(pd.DataFrame({"what": ["files", "orders"], "change": "", "verdict": ["same", "differs"]}))
    'Differs: orders.'
    """
    if _IDENTICAL in (files := changes["change"].iloc[0]):
        return f"{files.partition(';')[0].capitalize()}."
    rows = changes.iloc[1:]
    named = rows["what"].where(rows["verdict"] != "changed", rows["what"] + " " + rows["change"])
    kinds = named.groupby(rows["verdict"]).agg(list)
    order = [verdict for verdict in ("changed", "no change shown", "differs") if verdict in kinds]
    return " ".join(f"{verdict.capitalize()}: {_listed(kinds[verdict])}." for verdict in order) or "No difference."


def as_text(changes: pd.DataFrame) -> str:
    """Write the frame as a table for a terminal, its longer texts on several lines."""
    lines = []
    for cells in [tuple(changes.columns), *changes.itertuples(index=False)]:
        wrapped = [
            wrap(str(cell), width, break_on_hyphens=False) or [""] for cell, width in zip(cells, _WIDTHS, strict=True)
        ]
        for parts in zip_longest(*wrapped, fillvalue=""):
            padded = (part.ljust(width) for part, width in zip(parts, _WIDTHS, strict=True))
            lines.append("  ".join(padded).rstrip())
    return "\n".join([lines[0], "-" * (sum(_WIDTHS) + 8), *lines[1:], "", in_one_line(changes)])


def _facts(earlier: Compared, now: Compared) -> Iterator[_Row]:
    names = sorted({*earlier.files, *now.files} if len(earlier.files) > 1 < len(now.files) else {"journal.sqlite"})
    other = [name for name in names if earlier.files.get(name) != now.files.get(name)]
    digests = [f"journal {each.files['journal.sqlite'][:12]}…" for each in (earlier, now)]
    change, verdict = (f"these differ: {_listed(other)}", "differs") if other else (_IDENTICAL, "same")
    if other and not {*DATA} & {*other}:
        change = f"data {_IDENTICAL}; {change}"
    yield _Row("files", digests, change, verdict)
    yield from _recorded("versions", earlier.versions, now.versions)
    yield from _recorded("settings", earlier.settings, now.settings)


def _recorded(kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[_Row]:
    differ = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if not before or not after:
        yield _Row(kind, ["recorded" if each else _UNKNOWN for each in (before, after)], verdict="not compared")
    elif not differ:
        yield _Row(kind, [f"{len(each)} recorded" for each in (before, after)])
    else:
        for name in differ:
            yield _Row(name, [each.get(name, _UNKNOWN) for each in (before, after)])


def _listed(names: Sequence[str]) -> str:
    return ", ".join([*names[:5], *([f"and {len(names) - 5} more"] if len(names) > 5 else [])])


def _of_orders(earlier: Compared, now: Compared) -> Iterator[_Row]:
    # Of the first source now that was there before as well, else of the first source of each.
    common = [origin for origin in now.origins if origin in earlier.origins]
    before, after = (each.orders[each.orders["origin"] == (common or each.origins)[0]] for each in (earlier, now))
    new = after[~after["identity"].isin(before["identity"])]
    of_new = "" if len(new) == len(after) else ", of new orders"
    yield _Row("source", [frame["origin"].iloc[0] for frame in (before, after)])
    yield _Row("placed, UTC", map(_period, (before, after)), verdict="not tested")
    yield _count("orders", len(before), len(after))
    if of_new:
        yield _same_orders(before, after)
    yield _Row("types", map(_types, (before, after)))
    yield from _outcomes(before, after, new, of_new)
    yield from _times(before, after, new, of_new)
    yield from _money(before, after)
    yield from _failures(earlier._replace(orders=before), now._replace(orders=after), new, of_new)


def _period(orders: pd.DataFrame) -> str:
    placed = orders["placed_at"].dropna()
    return f"{placed.min():%Y-%m-%d %H:%M} to {placed.max():%Y-%m-%d %H:%M}" if len(placed) else _UNKNOWN


def _types(orders: pd.DataFrame) -> str:
    counts = orders["type_id"].fillna("unknown").value_counts().sort_index()
    return _listed([f"{name} {count}" for name, count in counts.items()])


def _count(what: str, before: int, after: int) -> _Row:
    return _Row(what, [f"{before:,}", f"{after:,}"], f"{after - before:+,}" if after != before else "")


def _same_orders(before: pd.DataFrame, after: pd.DataFrame) -> _Row:
    columns = ["status", "fulfilled_amount", "refunded_amount"]
    first, other = (frame.set_index("identity")[columns] for frame in (before, after))
    first, other = first.align(other, join="inner", axis="index")
    was, is_ = first["status"].isin(_FINAL), other["status"].isin(_FINAL)
    differs = was & is_ & (first.ne(other) & first.notna()).any(axis="columns")
    said = {"became final": ~was & is_, "open again": was & ~is_, "final with other figures": differs}
    change = ", ".join(f"{rows.sum()} {how}" for how, rows in said.items() if rows.any())
    return _Row("orders in both", [f"{len(first):,}"] * 2, change, "differs" if change else "same")


def _outcomes(before: pd.DataFrame, after: pd.DataFrame, new: pd.DataFrame, of_new: str) -> Iterator[_Row]:
    was, is_, of_those = (
        frame["status"].value_counts().reindex(_FINAL, fill_value=0) for frame in (before, after, new)
    )
    seen = [name for name in _FINAL if was[name] + is_[name]]
    for name in seen:
        yield _count(f"orders {name}", was[name], is_[name])
    yield _count("orders not final", len(before) - was.sum(), len(after) - is_.sum())
    if len(seen) > 1 and was.sum() and of_those.sum():
        said = (_listed([f"{each[name] / each.sum():.0%} {name}" for name in seen]) for each in (was, of_those))
        yield _Row(f"outcomes{of_new}", said, p_value=compare_counts(was, of_those))


def _times(before: pd.DataFrame, after: pd.DataFrame, new: pd.DataFrame, of_new: str) -> Iterator[_Row]:
    if new.empty:
        both = (str(time_to_fulfilment(frame).quantile(0.5)) for frame in (before, after))
        yield _Row("median time", both, "no order is new", "not tested")
        return
    groups = pd.concat([before.assign(report="earlier"), new.assign(report="now")], ignore_index=True)
    groups = groups.drop(columns="order_id")  # `identity` has told them apart
    found = compare_groups(groups, "report").iloc[0]
    low, high = found["difference_low"], found["difference_high"]
    change = f"{found['difference']:+.1f} s (95 % {low:+.1f} to {high:+.1f} s)" if isfinite(found["difference"]) else ""
    curves = time_to_fulfilment(groups, "report").values()
    medians, last = ([curve.quantile(p) for curve in curves] for p in (0.5, 0.95))
    yield _Row(f"median time{of_new}", map(str, medians), change, p_value=found["p_value"])
    difference = last[1].estimate - last[0].estimate
    change = f"{difference:+.1f} s" if isfinite(difference) else ""
    yield _Row(f"95th percentile{of_new}", map(str, last), change, "not tested")


def _money(before: pd.DataFrame, after: pd.DataFrame) -> Iterator[_Row]:
    both = [Money(frame) for frame in (before, after)]
    was, is_ = (money.totals for money in both)
    for name in ("charged", "refunded", "in_flight"):
        difference = is_[name] - was[name]
        change = f"{'+' if difference > 0 else ''}{dinars(difference)} DA" if difference else ""
        said = [money.in_flight if name == "in_flight" else f"{dinars(money.totals[name])} DA" for money in both]
        yield _Row(name.replace("_", " "), said, change)
    if was["unknown_amounts"] or is_["unknown_amounts"]:
        yield _count("amounts not known", was["unknown_amounts"], is_["unknown_amounts"])


def _failures(earlier: Compared, now: Compared, new: pd.DataFrame, of_new: str) -> Iterator[_Row]:
    both, key = (earlier, now), ["source", "order_id"]
    polls = [each.polls.merge(each.orders[key], on=key) for each in both]
    failed = [frame[frame["failed"]] for frame in polls]
    yield _count("polls", *map(len, polls))
    for name in sorted({*failed[0]["outcome"], *failed[1]["outcome"]}):
        yield _count(f"polls with {name}", *((frame["outcome"] == name).sum() for frame in failed))
    counts = []
    for frame, orders in zip(failed, (earlier.orders, new), strict=True):
        with_one = len(frame[key].drop_duplicates().merge(orders[key]))
        counts.append([with_one, len(orders) - with_one])
    if counts[0][0] + counts[1][0] and len(new):
        said = (f"{each[0] / sum(each):.0%}" for each in counts)
        yield _Row(f"orders with a failed poll{of_new}", said, p_value=compare_counts(*counts))
    states = [each.intents[each.intents["source"].isin(each.orders["source"])]["state"] for each in both]
    for state in ("not placed", "unknown"):
        yield _count(f"requests {state}", *((each == state).sum() for each in states))
    yield _count("orders with contradictions", *((each.orders["problems"] != "").sum() for each in both))
