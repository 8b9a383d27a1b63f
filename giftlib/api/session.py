"""Send a request and read its response, within one time-out and the rate limit, and hide the key whatever happens.

The time-out is a deadline for everything: waiting for the rate limit, connecting, sending, receiving, and decoding.
"""

import http.client
import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from datetime import datetime
from math import inf
from typing import Any

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
from .transport import Attempt, current, new_session
from .validation import check_count, check_seconds

LARGEST_PAGE = 100


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

    Each request waits until it fits under `rate_limit`. `api_clock` and `instance`, the name of the emulator that
    responded or None, are known from the responses.
    """

    def __init__(self, base_url: str, key: Key, clock: Clock, request_timeout: float, rate_limit: RateLimit) -> None:
        self._base_url = base_url
        self._without_key = key.without
        self._clock = clock
        self._request_timeout = request_timeout
        self._rate_limit = rate_limit
        self.api_clock = ApiClock(clock)
        self.instance: str | None = None
        self._http = new_session(base_url)
        self._http.auth = key
        self._process = os.getpid()

    def send(
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
        allowed = min(left - self._wait_for_rate_limit(request, left), self._request_timeout)
        if self._clock.monotonic() > not_after - allowed:
            raise NoAnswerError(f"{request}: not sent, its time has run out", sent=False)
        attempt = Attempt(self._clock, allowed, self._request_timeout)
        interrupted: BaseException | None = None
        if method == "POST" or self._process != os.getpid():
            # A connection of its own: nothing left on another, or meant for the process that was forked, is taken for
            # the response.
            self._http.close()
            self._process = os.getpid()
        token = current.set(attempt)
        try:
            with getattr(self._clock, "time_limit", nullcontext)(allowed):
                return self._exchange(attempt, request, params, body)
        except (HTTPError, http.client.HTTPException, OSError, RuntimeError, ValueError) as error:
            reason = _reason(error)
        except BaseException as error:
            interrupted = error
        finally:
            current.reset(token)
            self._rate_limit.count()
            if method == "POST":
                self._http.close()
        # Raised out here, without the content, so that neither what was read nor an exception of another library,
        # with the key in its request, hangs on it; nor the frames that hold them.
        if interrupted is not None:
            interrupted.__cause__ = interrupted.__context__ = None
            raise interrupted.with_traceback(None)
        if attempt.left_s() <= 0:
            reason = f"no response within {allowed:.3g} s"
        elif not attempt.peer:
            reason = "the request is not valid"
        where = f"{'' if attempt.sent else 'not sent, '}{attempt.peer or self._base_url}"
        raise NoAnswerError(f"{request}: {where}: {reason}", sent=attempt.sent, status=attempt.status)

    def get(self, path: str, *, params: Fields = None, timeout: Seconds = None) -> Response:
        """Return the successful response to a GET; raise what every other one means."""
        return read(self.send("GET", path, params=params, timeout=timeout), lambda response: response)

    def page(
        self, path: str, read_item: Callable[..., Item], page: int, page_size: int, since: Time, until: Time,
        timeout: Seconds = None,
    ) -> Page[Item]:  # fmt: skip
        """Return one page of a list, each item as `read_item` returns it, given `http_status` too."""
        if (since is None) != (until is None):
            raise ValueError(f"since and until must be given together, got since={since!r}, until={until!r}")
        which = {"page": check_count("page", page), "pageSize": check_count("page_size", page_size, most=LARGEST_PAGE)}
        when = {"from": _iso("since", since), "to": _iso("until", until)}
        if since is not None and until is not None and since > until:
            raise ValueError(f"since must not be after until, got since={since!r}, until={until!r}")

        def parse(response: Response) -> Page[Item]:
            pagination = as_dict(response.data.get("pagination"))
            pages, results = (as_count(pagination.get(name)) or 0 for name in ("totalPages", "totalResults"))
            items = tuple(read_item(item, http_status=response.status) for item in response.items("items"))
            results = max(results, len(response.data["items"]))  # some that are no objects, or more than it says
            return Page(items, page, page_size, pages, results, response.retry_after)

        return read(self.send("GET", path, params=which | when, timeout=timeout), parse)

    def close(self) -> None:
        """Close the connections; a later request makes a new one."""
        self._http.close()

    def _exchange(self, attempt: Attempt, request: str, params: Fields, body: Fields) -> Response:
        """Return the response that comes within the attempt."""
        started = self._clock.monotonic()
        method, _, path = request.partition(" ")
        url = self._base_url + path
        with self._http.request(method, url, params, json=body, stream=True, allow_redirects=False) as received:
            status, headers = received.status_code, received.headers
            attempt.status = status
            if status < 200:
                raise http.client.HTTPException("another protocol")
            content = b"".join(received.raw.stream(65536))
        content = decompressed(content, headers.get("Content-Encoding", ""), attempt.wait_s)
        now = self._clock.now_utc()
        response = read_response(request, status, headers, content, self._without_key, attempt.wait_s, now)
        if re.fullmatch("[0-9a-f]{32}", named := headers.get(INSTANCE_HEADER, "")):
            self.instance = named
        if response.time is not None:
            self.api_clock.observe(*response.time, started)
        return response

    def _wait_for_rate_limit(self, request: str, longest: float) -> float:
        """Sleep until the request fits under the rate limit; return the seconds slept."""
        delay, limit = self._rate_limit.delay_s(), self._rate_limit.per_minute
        if not delay:
            return 0.0
        if delay > longest:
            reason = f"the rate limit of {limit} requests per minute leaves no room for it within {longest:.3g} s"
            raise NoAnswerError(f"{request}: not sent, {reason}", sent=False)
        started = self._clock.monotonic()
        self._clock.sleep(delay)
        return self._clock.monotonic() - started


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
