"""Every order of the report as a row of one table, its polls folded into it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from giftlib.analysis import dinars
from giftlib.api import FINAL
from giftlib.report.words import duration, moment, short

MOST = 10_000
"""So many orders are in the page: it opens within 2 s."""

_COLUMNS = (
    "Order", "Outcome", "Source", "Type", "Cards", "Placed (UTC)", "Final after", "Polls", "Charged", "Refunded",
    "Problems",
)  # fmt: skip
_ROW = Markup(
    '<tr><td><details><summary title="{id}">{short}</summary><p class="polls">{more}</p></details></td>'
    "<td>{status}</td><td>{source}</td><td>{type}</td><td>{quantity}</td>"
    '<td data-v="{at}">{placed}</td><td data-v="{final}">{time}</td><td>{polls}</td>'
    "<td>{charged}</td><td>{refunded}</td><td>{problems}</td></tr>"
)


class Explorer(NamedTuple):
    """Hold the names of the columns, the rows in HTML, and how many orders there are."""

    columns: tuple[str, ...]
    rows: list[Markup]
    orders: int


def explorer_of(orders: pd.DataFrame, polls: pd.DataFrame) -> Explorer:
    """Make a row for each order, of more than `MOST` for those that are open or have problems, and an even sample."""
    shown = _sample(orders)
    key = ["source", "order_id"]
    of_these = polls[pd.MultiIndex.from_frame(polls[key]).isin(pd.MultiIndex.from_frame(shown[key]))]
    seen: dict[Any, list[str]] = {}
    for poll in of_these.itertuples():
        seen.setdefault((poll.source, poll.order_id), []).append(_poll(poll))
    return Explorer(_COLUMNS, [_row(order, seen) for order in shown.itertuples()], len(orders))


def _sample(orders: pd.DataFrame) -> pd.DataFrame:
    if len(orders) <= MOST:
        return orders
    odd = ~orders["status"].isin(FINAL) | (orders["problems"] != "")
    first = np.flatnonzero(odd)[:MOST]
    rest = np.flatnonzero(~odd)
    even = rest[np.linspace(0, len(rest) - 1, MOST - len(first)).round().astype(int)]
    return orders.iloc[np.sort(np.concatenate([first, even]))]


def _row(order: Any, polls: dict[Any, list[str]]) -> Markup:
    final, placed = order.status in FINAL, _known(order.placed_at)
    since = duration(order.not_done_by_s)
    return _ROW.format(
        id=order.order_id,
        short=short(order.order_id),
        more="\n".join(_more(order, polls)),
        status=_known(order.status) or "not polled",
        source=order.source,
        type=short(_known(order.type_id)),
        quantity=_known(order.quantity),
        at=placed and f"{placed.timestamp():.3f}",
        placed=placed and f"{placed.day} {placed:%b %H:%M:%S}",
        final=f"{min(order.done_by_s, 1e12):.3f}",
        time=f"{since} to {duration(order.done_by_s)}" if final else f"open at {since}",
        polls=order.polls,
        charged=_amount(order.fulfilled_amount) if final else "",
        refunded=_amount(order.refunded_amount) if final else "",
        problems=order.problems,
    )


def _more(order: Any, polls: dict[Any, list[str]]) -> Iterator[str]:
    yield order.order_id
    for name in ("ref", "placed_at", "product_id", "type_id", "price_per_card"):
        if value := _known(getattr(order, name)):
            yield f"{name}: {value}"
    yield from polls.get((order.source, order.order_id), [])


def _poll(poll: Any) -> str:
    at = duration(poll.elapsed_s) if pd.notna(poll.elapsed_s) else moment(poll.sent_at)
    status = f" ({poll.http_status})" if pd.notna(poll.http_status) and poll.http_status != 200 else ""
    return f"{at}: {poll.outcome}{status}{', in the list' if poll.via == 'list' else ''}"


def _known(value: Any) -> Any:
    return "" if pd.isna(value) else value


def _amount(amount: Any) -> str:
    return "" if pd.isna(amount) else dinars(amount)
