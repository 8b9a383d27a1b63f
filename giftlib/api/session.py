"""Send a request and read its response, within one time-out and the rate limit, and hide the key whatever happens.

The time-out is a deadline for everything: waiting for the rate limit, connecting, sending, receiving, and decoding.
"""

import http.client
import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from datetime import datetime
from importlib.metadata import version
from math import inf
from typing import Any
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError

from giftlib.clock import Clock

from .decompression import decompressed
from .errors import NoAnswerError
from .key import Key
from .models import Item, Page
from .parsing import as_count, as_dict
from .rate_limit import RateLimit
from .responses import Response, read, read_response
from .source import INSTANCE_HEADER, ApiClock
from .transport import Attempt, current, new_pool
from .validation import check_count, check_seconds

LARGEST_PAGE = 100
_USER_AGENT = f"giftlib/{version('giftlib')} urllib3/{urllib3.__version__}"


def _handled(record: logging.LogRecord) -> bool:
    """Handle what urllib3 logs of our requests here: a handler that raises would end one that was carried out.

    Headers that cannot be parsed stay out of the log: a server may have put the key or a code there.
    """
    if current.get(None) is None:
        return True
    with suppress(Exception):
        if "Failed to parse headers" not in str(record.msg):
            logging.getLogger(record.name).callHandlers(record)
    return False


for _name in ("connection", "connectionpool", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(_handled)

Fields = Mapping[str, Any] | None
Seconds = float | None
Time = datetime | None


class ApiSession:
    """Send requests to one host with one key. Nothing is sent twice.

    Each request waits until it fits under `rate_limit`. The API's clock, and the name of the emulator that responded,
    are known from the responses.
    """

    def __init__(self, base_url: str, key: Key, clock: Clock, request_timeout: float) -> None:
        self.base_url = base_url
        self.clock = clock
        self.request_timeout = request_timeout
        self.rate_limit = RateLimit(clock)
        self._key = key
        self._api_clock = ApiClock(clock)
        self._instance: str | None = None
        self._pool = new_pool(base_url)
        self._process = os.getpid()

    def close(self) -> None:
        """Close the connections; a later request makes a new one."""
        self._pool.clear()

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Fields = None,
        body: Fields = None,
        timeout: Seconds = None,
        not_after: float = inf,
    ) -> Response:
        """Return the response, success or error; raise NoAnswerError if none comes whole within the time-out.

        `timeout` bounds the wait for the rate limit and the request together, in seconds of the clock; the client's
        time-out bounds the request alone, in seconds of the clock and in real ones. After the clock's monotonic second
        `not_after` nothing leaves, even if the process was suspended.
        """
        if timeout is not None:
            check_seconds("timeout", timeout or 1e-3)  # 0: the time has just run out
        request = f"{method} /v3/{path}"
        left = inf if timeout is None else timeout
        allowed = min(left - self._wait_for_rate_limit(request, left), self.request_timeout)
        if self.clock.monotonic() > not_after - allowed:
            raise NoAnswerError(f"{request}: not sent, its time has run out", sent=False)
        attempt = Attempt(self.clock, allowed, self.request_timeout)
        interrupted: BaseException | None = None
        if method == "POST" or self._process != os.getpid():
            # A connection of its own: nothing left on another, or meant for the process that was forked, is taken for
            # the response.
            self._pool.clear()
            self._process = os.getpid()
        token = current.set(attempt)
        try:
            with getattr(self.clock, "time_limit", nullcontext)(allowed):
                return self._exchange(attempt, request, params, body)
        except (HTTPError, http.client.HTTPException, OSError, RuntimeError, ValueError) as error:
            reason = _reason(error)
        except BaseException as error:
            interrupted = error
        finally:
            current.reset(token)
            self.rate_limit.count()
            if method == "POST":
                self._pool.clear()
        # Raised out here, without the content, so that neither what was read nor an exception of another library,
        # with the key in its request, hangs on it; nor the frames that hold them.
        if interrupted is not None:
            interrupted.__cause__ = interrupted.__context__ = None
            raise interrupted.with_traceback(None)
        if attempt.left_s() <= 0:
            reason = f"no response within {allowed:.3g} s"
        elif not attempt.peer:
            reason = "the request is not valid"
        where = f"{'' if attempt.sent else 'not sent, '}{attempt.peer or self.base_url}"
        raise NoAnswerError(f"{request}: {where}: {reason}", sent=attempt.sent, status=attempt.status)

    def _get(self, path: str, *, params: Fields = None, timeout: Seconds = None) -> Response:
        """Return the successful response to a GET; raise what every other one means."""
        return read(self._send("GET", path, params=params, timeout=timeout), lambda response: response)

    def _page(
        self, path: str, read_item: Callable[..., Item], page: int, page_size: int, since: Time, until: Time,
        timeout: Seconds = None,
    ) -> Page[Item]:  # fmt: skip
        """Return one page of a list, each item as `read_item` returns it, given `http_status` too."""
        if (since is None) != (until is None):
            raise ValueError(f"since and until must be given together, got since={since!r}, until={until!r}")
        which = {"page": check_count("page", page), "pageSize": check_count("page_size", page_size, most=LARGEST_PAGE)}
        when = {"from": _iso("since", since), "to": _iso("until", until)}

        def parse(response: Response) -> Page[Item]:
            pagination = as_dict(response.data.get("pagination"))
            pages, results = (as_count(pagination.get(name)) or 0 for name in ("totalPages", "totalResults"))
            items = tuple(read_item(item, http_status=response.status) for item in response.items("items"))
            results = max(results, len(response.data["items"]))  # some that are no objects, or more than it says
            return Page(items, page, page_size, pages, results, response.retry_after)

        return read(self._send("GET", path, params=which | when, timeout=timeout), parse)

    def _exchange(self, attempt: Attempt, request: str, params: Fields, body: Fields) -> Response:
        """Return the response that comes within the attempt."""
        started = self.clock.monotonic()
        method, _, path = request.partition(" ")
        query = urlencode({name: value for name, value in (params or {}).items() if value is not None})
        headers = {"User-Agent": _USER_AGENT, "Accept": "*/*", **self._key.headers()}
        content = None
        if body is not None:
            content, headers["Content-Type"] = json.dumps(body, allow_nan=False), "application/json"
        with self._pool.urlopen(
            method, f"{self.base_url}{path}?{query}".rstrip("?"), body=content, headers=headers,
            redirect=False, retries=False, preload_content=False, decode_content=False,
        ) as received:  # fmt: skip
            attempt.status = received.status
            if received.status < 200:
                raise http.client.HTTPException("another protocol")
            raw = b"".join(received.stream(65536))
        response = read_response(
            request, received.status, received.headers, decompressed(raw, received.headers, attempt.wait_s),
            self._key.without, attempt.wait_s, self.clock.now_utc(),
        )  # fmt: skip
        if re.fullmatch("[0-9a-f]{32}", named := received.headers.get(INSTANCE_HEADER, "")):
            self._instance = named
        if response.time is not None:
            self._api_clock.observe(*response.time, started)
        return response

    def _wait_for_rate_limit(self, request: str, longest: float) -> float:
        """Sleep until the request fits under the rate limit; return the seconds slept."""
        delay, limit = self.rate_limit.delay_s(), self.rate_limit.per_minute
        if not delay:
            return 0.0
        if delay > longest:
            reason = f"the rate limit of {limit} requests per minute leaves no room for it within {longest:.3g} s"
            raise NoAnswerError(f"{request}: not sent, {reason}", sent=False)
        started = self.clock.monotonic()
        self.clock.sleep(delay)
        return self.clock.monotonic() - started


def _reason(error: BaseException | None) -> str:
    """Return what broke, in the operating system's words or OpenSSL's where there are any, never in the server's."""
    reason = "the connection broke or the response was not HTTP"
    while error is not None:
        if refused := re.match("Tunnel connection failed: ([0-9]{3})", str(error)):
            reason = f"{refused[1]} {http.client.responses.get(int(refused[1]), '')}".strip()
        reason = getattr(error, "verify_message", None) or getattr(error, "strerror", None) or reason
        error = next((wrapped for wrapped in error.args if isinstance(wrapped, BaseException)), error.__cause__)
    return reason


def _iso(name: str, time: Time) -> str | None:
    if time is not None and (not isinstance(time, datetime) or time.tzinfo is None):
        raise ValueError(f"{name} must be a datetime with a time zone, got {time!r}")
    return None if time is None else time.isoformat(timespec="milliseconds")
