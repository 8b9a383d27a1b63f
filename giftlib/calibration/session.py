"""Asking an API what it does: politely, one request after another, keeping what each answer proves."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, NamedTuple

from giftlib.api import (
    ApiError,
    AuthenticationError,
    Client,
    GiftlibError,
    NoAnswerError,
    ProductionKeyError,
    Response,
    as_count,
    as_dict,
    as_id,
    is_retryable,
    retry_delay,
)
from giftlib.journal import Journal
from giftlib.polling import place_order
from giftlib.sandbox.settings import Settings

UNCLEAR, NOT_LOOKED_FOR = "unclear", "not looked for"
_PAUSE_S, CREDIT_S = 1.25, 12.0
"""So no minute is ever full, and no request has to wait for its place when its moment counts: 60 / 1.25 and as many
more as a credit of 12 s allows are fewer than 60."""
_TRIES, _TRY_AGAIN_S = 4, 5.0
_REQUEST_ID = re.compile("req_[0-9a-z]{1,20}(_[0-9a-z]{1,20})?|req-[0-9a-z]{1,12}")
_ORDER_ID = re.compile("[0-9a-f]{24}")
_LARGE = 10**9
"""No price, balance or count is as large; what claims to be may be a card's code."""
_VALIDATORS = {declared.name: declared.metadata["validator"] for declared in fields(Settings)}


class UnclearError(GiftlibError):
    """An answer does not tell what was asked."""


@dataclass(frozen=True)
class Finding:
    """The value found of a setting, or of something that is none, with the ends of its interval if it is a time in
    seconds. `evidence` names answers or orders; without `is_found` it tells why there is no value."""

    value: Any
    evidence: str
    low: float | None = None
    high: float | None = None
    is_found: bool = True


class Bought(NamedTuple):
    """An order, and the monotonic seconds at which its purchase was sent and answered."""

    order_id: str
    sent_s: float
    received_s: float


class Inquiry:
    """Requests more than a second apart but for those on credit, and the findings by name.

    A read that fails in passing is made up to four times, a purchase once. A 401 is followed by one request that
    tells whether the key is still good; if it is not, AuthenticationError ends all, before the address is locked out.
    """

    def __init__(self, client: Client, journal: Journal) -> None:
        self.client = client
        self.journal = journal
        self.clock = client.clock
        self.findings: dict[str, Finding] = {}
        self.latencies: list[float] = []
        self.header_names: set[str] = set()
        self.placed_by_body: list[str] = []
        self.balances: list[Decimal] = []
        self.began = client.clock.now_utc()
        self._free_at = self.clock.monotonic()
        self._key_is_refused = False

    def ask(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        at_once: bool = False,
    ) -> Response:
        """The answer to a GET, or with a `body` to a POST, whatever it says; NoAnswerError if there is none.

        Sent `at_once`, on credit, it is the next that waits so much longer.
        """
        for left in reversed(range(1 if body is not None else _TRIES)):
            self.breathe(CREDIT_S if at_once else 0.0)
            try:
                answer = self.client.request("GET" if body is None else "POST", path, params=params, body=body)
            except NoAnswerError:
                if not left:
                    raise
                self.clock.sleep(_TRY_AGAIN_S)
                continue
            finally:
                self._count()
            self.latencies.append(answer.latency_s)
            self.header_names |= set(answer.header_names)
            error = _error_in(answer)
            if answer.status == 401:
                self._require_good_key()
            if not left or error is None or not is_retryable(error):
                break
            self.clock.sleep(max(retry_delay(error), _TRY_AGAIN_S))
        return answer

    def require_key_type(self) -> None:
        """Know what type the key is of, or raise what validate raises."""
        for left in reversed(range(_TRIES)):
            try:
                self.client.validate()
                return
            except GiftlibError as error:
                if not left or not is_retryable(error):
                    raise
                self.clock.sleep(_TRY_AGAIN_S)

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, at_once: bool = False) -> Response:
        """The successful answer to a GET; every other is raised."""
        answer = self.ask(path, params, at_once=at_once)
        answer.raise_for_error()
        return answer

    def first_and_last(self, path: str, *, at_once: bool = False) -> Iterator[Response]:
        """The first page of a list, and the last that it tells of if that is another one: either has the newest."""
        first = self.get(path, {"page": 1, "pageSize": 100}, at_once=at_once)
        yield first
        pages = as_count(as_dict(first.data.get("pagination")).get("totalPages")) or 1
        if pages > 1:
            yield self.get(path, {"page": pages, "pageSize": 100}, at_once=at_once)

    def order(self, body: Mapping[str, Any]) -> Response:
        """The answer to a purchase with that body, right or wrong; the journal knows the order if there is one."""
        answer = self.ask("gift-cards/placeOrder", body=body)
        order_id = None if _error_in(answer) else as_id(answer.data.get("orderId"))
        if order_id is not None:
            self.placed_by_body.append(order_id)
            self.journal.watch(order_id)
        return answer

    def buy(self, product_id: str, type_id: str, quantity: int) -> Bought:
        """An order like this. If a purchase fails in passing or is lost another one is made: nobody pays for it."""
        for left in reversed(range(_TRIES)):
            self.breathe()
            sent_s = self.clock.monotonic()
            try:
                order_id = place_order(product_id, type_id, quantity, client=self.client, journal=self.journal)
                return Bought(order_id, sent_s, self.clock.monotonic())
            except GiftlibError as error:
                if isinstance(error, AuthenticationError):
                    self._require_good_key()
                if not left or not is_retryable(error):
                    raise
                self.clock.sleep(max(retry_delay(error), _TRY_AGAIN_S))
            finally:
                self._count()
        raise AssertionError("unreachable")

    def breathe(self, credit_s: float = 0.0) -> None:
        """Wait until the next request may be sent, or until so long before."""
        self.clock.sleep(max(self._free_at - credit_s - self.clock.monotonic(), 0.0))

    def _count(self) -> None:
        self._free_at = max(self._free_at, self.clock.monotonic()) + _PAUSE_S

    @contextmanager
    def looking_for(self, *names: str) -> Iterator[None]:
        """Whatever the API does inside ends the block at most; what has not been found by then is unclear."""
        try:
            yield
        except GiftlibError as error:
            if self._key_is_refused:
                raise
            self.unclear(reason_of(error), *names)

    def found(
        self, name: str, value: Any, *evidence: Response | str, low: float | None = None, high: float | None = None
    ) -> None:
        """Keep what was found, the first time; a value that the setting cannot have makes it unclear."""
        if name in self.findings and self.findings[name].is_found:
            return
        may_be_a_code = isinstance(value, int | Decimal) and value >= _LARGE
        if may_be_a_code or (name in _VALIDATORS and not _VALIDATORS[name].accepts(value)):
            self.unclear("the answer tells nothing that a setting could be", name)
        else:
            self.findings[name] = Finding(value, "; ".join(map(_named, evidence)), low, high)

    def unclear(self, reason: str, *names: str) -> None:
        """Keep why these were not found, if they were not."""
        for name in names:
            self.findings.setdefault(name, Finding(UNCLEAR, reason, is_found=False))

    def needless(self, reason: str, *names: str) -> None:
        """Keep why these have no value."""
        for name in names:
            self.findings[name] = Finding(NOT_LOOKED_FOR, reason, is_found=False)

    def _require_good_key(self) -> None:
        self.breathe()
        try:
            self.client.validate()
            if self.client.key_type != "SANDBOX":
                raise ProductionKeyError(
                    f"the key's type is {self.client.key_type or 'unknown'} now, no longer SANDBOX"
                )
        except (AuthenticationError, ProductionKeyError):
            self._key_is_refused = True
            raise
        except GiftlibError:
            pass  # it tells nothing of the key
        finally:
            self._count()


def is_accepted(answer: Response) -> bool:
    """Whether what was asked was done, rather than refused; UnclearError if the answer is neither."""
    error = _error_in(answer)
    if error is not None and (not isinstance(error, ApiError) or is_retryable(error) or error.status == 401):
        raise UnclearError(reason_of(error))
    return error is None


def outcome_of(answer: Response) -> str:
    """HTTP status and code of an answer; UnclearError if it is none of the API's."""
    return str(answer.status) if is_accepted(answer) else f"{answer.status} {answer.code or 'without code'}"


def reason_of(error: GiftlibError) -> str:
    """What went wrong, without any words of the API's."""
    if isinstance(error, ApiError):
        return f"{error.status} {error.code}"
    return str(error) if isinstance(error, UnclearError) else f"{type(error).__name__}"


def named_orders(order_ids: list[str]) -> str:
    """Orders by their ids, or the first of them and how many more."""
    known = [order_id for order_id in order_ids if _ORDER_ID.fullmatch(order_id)]
    more = len(order_ids) - len(known[:1])
    return " and ".join([*(f"order {order_id}" for order_id in known[:1]), *([f"{more} more"] if more else [])])


def _error_in(answer: Response) -> GiftlibError | None:
    try:
        answer.raise_for_error()
    except (ApiError, NoAnswerError) as error:
        return error
    return None


def _named(evidence: Response | str) -> str:
    if isinstance(evidence, str):
        return evidence
    known = evidence.request_id and _REQUEST_ID.fullmatch(evidence.request_id)
    return str(evidence.request_id) if known else "an answer without id"
