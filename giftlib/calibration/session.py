"""Send the requests of a calibration, well spaced, and keep what they prove as findings by name."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from giftlib.api import LARGEST_PAGE, Client, Page, Response, errors, is_retryable, retry_read
from giftlib.journal import Journal
from giftlib.polling import place_order
from giftlib.sandbox import Settings

UNCLEAR, NOT_SEARCHED = "unclear", "not searched"
DEFAULTS = vars(Settings())
_ACCEPTS = {declared.name: declared.metadata["validator"].accepts for declared in fields(Settings)}
_Item = TypeVar("_Item")
_TRIES = 4
_APART_S, _ROOM = 1.25, 56
"""Seconds between requests, so that 48 go out per minute; how many the window may hold when one is sent at once."""
_ID = re.compile("[0-9a-f]{24}|req_[0-9a-z]{1,20}(_[0-9a-z]{1,20})?|req-[0-9a-z]{1,12}")
_LARGE = 10**9
"""No price, balance or count is as large; what claims to be may be a card's code."""


class UnclearError(errors.GiftlibError):
    """Report that no response shows what was asked."""


class Finding(NamedTuple):
    """Hold a value with the responses or orders that prove it, or why there is none; times with their interval."""

    value: Any
    evidence: str
    low: float | None = None
    high: float | None = None
    is_found: bool = True


class CalibrationSession:
    """Send requests, and hold the findings by the name of the setting, or of what no setting describes.

    They are read from the journal, `responses`, `latencies`, `balances` and `hidden_s`, the longest that a list hid an
    order.
    """

    def __init__(self, client: Client, journal: Journal) -> None:
        self.client = client
        self.journal = journal
        self.findings: dict[str, Finding] = {}
        self.responses: list[Response] = []
        self.latencies: list[float] = []
        self.balances: list[Decimal] = []
        self.hidden_s = 0.0
        self._began = client.clock.now_utc()
        self._key_is_rejected = False

    def found(
        self, name: str, value: Any, evidence: Response | str, low: float | None = None, high: float | None = None
    ) -> None:
        """Keep a value, if it is the first; one that the setting cannot have makes it unclear."""
        if name in self.findings and self.findings[name].is_found:
            return
        may_be_a_code = isinstance(value, int | Decimal) and value >= _LARGE
        if may_be_a_code or (name in _ACCEPTS and not _ACCEPTS[name](value)):
            self.missing("the response shows nothing that the setting could be", name)
            return
        if isinstance(evidence, Response):
            is_known = evidence.request_id and _ID.fullmatch(evidence.request_id)
            evidence = str(evidence.request_id) if is_known else "a response without id"
        self.findings[name] = Finding(value, evidence, low, high)

    def missing(self, reason: str, *names: str, found: str = UNCLEAR) -> None:
        """Keep why these have no value, unless they have one."""
        for name in names:
            self.findings.setdefault(name, Finding(found, reason, is_found=False))

    @contextmanager
    def finding(self, *names: str) -> Iterator[None]:
        """Let a failure end the block and nothing else, unless the key is rejected; what was not found is unclear."""
        try:
            yield
        except errors.GiftlibError as error:
            if self._key_is_rejected:
                raise
            if isinstance(error, errors.AuthenticationError):
                self.wait()
                try:
                    self.require_sandbox_key(tries=1)
                except (errors.AuthenticationError, errors.ProductionKeyError):
                    self._key_is_rejected = True  # and one more rejection might lock this address out
                    raise
                except errors.GiftlibError:
                    pass  # says nothing of the key
            reason = f"{error.status} {error.code}" if isinstance(error, errors.ApiError) else type(error).__name__
            self.missing(str(error) if isinstance(error, UnclearError) else reason, *names)

    def require_sandbox_key(self, tries: int = _TRIES) -> None:
        """Raise ProductionKeyError unless the key is a sandbox key, `allow_production` or not."""
        retry_read(self.client.validate, self.client.clock, tries)
        if self.client.key_type != "SANDBOX":
            reason = f"the key's type is {self.client.key_type or 'unknown'}, not SANDBOX: it is not calibrated"
            raise errors.ProductionKeyError(reason)

    def wait(self, *, at_once: bool = False) -> None:
        """Wait before the next request; `at_once`, if its time matters, only when the rate limit's window is full.

        The window alone would let a burst out, and then nothing for the rest of a minute in which an order gets final.
        """
        if not at_once or self.client.rate_limit.recent() >= _ROOM:
            self.client.clock.sleep(_APART_S)

    def _timed(self, send: Callable[[], _Item], *, at_once: bool = False) -> _Item:
        """Return what a request returns after the wait; keep its latency, unless the rate limit may have delayed it."""
        self.wait(at_once=at_once)
        is_free, sent_s = not self.client.rate_limit.delay_s(), self.client.clock.monotonic()
        result = send()
        self.latencies += [self.client.clock.monotonic() - sent_s] if is_free else []
        return result

    def request(self, path: str, params: Mapping[str, Any] | None = None, body: Any = None) -> Response:
        """Return the response to a GET, tried four times, or to a POST of a `body`, if it accepts or rejects it."""

        def send() -> Response:
            method = "GET" if body is None else "POST"
            response = self._timed(lambda: self.client.request(method, path, params=params, body=body))
            self.responses.append(response)
            try:
                response.raise_for_error()
            except errors.ApiError as error:
                if is_retryable(error) or error.status == 401:
                    raise
            return response

        return retry_read(send, self.client.clock, _TRIES if body is None else 1)

    def get(self, path: str) -> Response:
        response = self.request(path)
        response.raise_for_error()
        return response

    def newest(self, read: Callable[[int, int], Page[_Item]], *, at_once: bool = False) -> list[_Item]:
        """Return the items on the first page that `read(page, page_size)` gives and on the last; one has the newest."""

        def read_page(number: int) -> Page[_Item]:
            send = partial(self._timed, partial(read, number, LARGEST_PAGE), at_once=at_once)
            return retry_read(send, self.client.clock, _TRIES)

        first = read_page(1)
        return [*first, *(read_page(first.total_pages) if first.total_pages > 1 else ())]

    def place(self, product_id: str, type_id: str, quantity: int) -> str:
        """Place an order and return its id. If its response is lost another one is placed: no money is spent."""

        def place_one() -> str:
            self.wait()
            try:
                return place_order(product_id, type_id, quantity, client=self.client, journal=self.journal)
            except errors.OrderOutcomeUnknownError as error:
                raise errors.NoAnswerError(str(error)) from error

        return retry_read(place_one, self.client.clock, _TRIES)

    def orders(self) -> pd.DataFrame:
        orders = self.journal.orders()
        return orders[orders["placed_at"] >= self._began]


def is_accepted(response: Response) -> bool:
    """Return whether a request was accepted rather than rejected."""
    return response.status < 400 and response.fields.get("success") is not False


def name_orders(order_ids: Iterable[str]) -> str:
    """Return the first order's id and how many more there are."""
    first, *others = [order_id for order_id in order_ids if _ID.fullmatch(order_id)] or ["without id"]
    return f"order {first}" + (f" and {len(others)} more" if others else "")
