"""Send a request and read its response, within one time-out and the rate limit, and hide the key whatever happens."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime
from http.client import HTTPException
from math import inf
from typing import Any
from urllib.parse import urlencode

from urllib3.exceptions import HTTPError

from giftlib.clock import Clock

from .attempt import Attempt, current
from .errors import NoAnswerError
from .key import Key
from .models import Item, Page
from .parsing import as_count, as_dict
from .rate_limit import RateLimit
from .responses import Response, read, read_response
from .source import INSTANCE_HEADER, ApiClock
from .transport import new_pools
from .validation import check_count, check_seconds

LARGEST_PAGE = 100


class ApiSession:
    """Send requests to one host with one key. Nothing is sent twice.

    Each request waits until it fits under `rate_limit`. `api_clock` and `instance`, the name of the emulator that
    responded or None, are known from the responses.
    """

    def __init__(self, base_url: str, key: Key, clock: Clock, request_timeout: float, rate_limit: RateLimit) -> None:
        self._base_url = base_url
        self._key = key
        self._clock = clock
        self._request_timeout = request_timeout
        self._rate_limit = rate_limit
        self.api_clock = ApiClock(clock)
        self.instance: str | None = None
        self._pools = new_pools(base_url)

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Response:
        """Return the response, success or error; raise NoAnswerError if none comes whole within the time-out.

        `timeout` bounds the wait for the rate limit and the request together, in seconds of the clock; the client's
        time-out bounds the request alone, in seconds of the clock and in real ones.
        """
        if timeout is not None:
            check_seconds("timeout", timeout or 1e-3)  # 0: the time has just run out
        request = f"{method} /v3/{path}"
        target = f"{path}?{urlencode(params, doseq=True)}" if params else path
        content = None if body is None else json.dumps(body).encode()
        left = inf if timeout is None else timeout
        allowed = min(left - self._wait_for_rate_limit(request, left), self._request_timeout)
        attempt, outer = Attempt(self._clock, allowed, self._request_timeout), sys.exception()
        interrupted: BaseException | None = None
        if method == "POST":
            self._pools.clear()  # a connection of its own: nothing left on another can be taken for the response
        try:
            with getattr(self._clock, "time_limit", nullcontext)(allowed):
                return self._exchange(attempt, request, target, content)
        except (HTTPError, HTTPException, OSError, RuntimeError, ValueError) as error:
            timed_out, reason = _diagnosis(error, outer)
        except BaseException as error:
            interrupted = error
        finally:
            self._rate_limit.count()
            if method == "POST":
                self._pools.clear()
        # Raised out here, without the content, so that neither what was read nor an exception of another library,
        # with the key in its request, hangs on it; nor the frames that hold them.
        if interrupted is not None:
            interrupted.__cause__, interrupted.__context__ = None, outer
            raise interrupted.with_traceback(None)
        if timed_out or attempt.share_left() <= 0:
            reason = f"no response within {allowed:.3g} s"
        reason = reason or "the connection broke or the response was not HTTP"
        not_sent = "" if attempt.sent else f"not sent, {attempt.peer}: "
        raise NoAnswerError(f"{request}: {not_sent}{reason}", sent=attempt.sent, status=attempt.status)

    def get(self, path: str, *, params: Mapping[str, Any] | None = None, timeout: float | None = None) -> Response:
        """Return the successful response to a GET; raise what every other one means."""
        return read(self.send("GET", path, params=params, timeout=timeout), lambda response: response)

    def page(
        self,
        path: str,
        read_item: Callable[[Any], Item],
        page: int,
        page_size: int,
        since: datetime | None,
        until: datetime | None,
        timeout: float | None = None,
    ) -> Page[Item]:
        """Return one page of a list, each item as `read_item` returns it."""
        params: dict[str, Any] = {
            "page": check_count("page", page),
            "pageSize": check_count("page_size", page_size, most=LARGEST_PAGE),
        }
        if (since is None) != (until is None):
            raise ValueError(f"since and until must be given together, got since={since!r}, until={until!r}")
        if since is not None and until is not None:
            params |= {"from": _iso("since", since), "to": _iso("until", until)}

        def parse(response: Response) -> Page[Item]:
            pagination = as_dict(response.data.get("pagination"))
            return Page(
                items=tuple(map(read_item, response.items("items"))),
                page=page,
                page_size=page_size,
                total_pages=as_count(pagination.get("totalPages")) or 0,
                total_results=as_count(pagination.get("totalResults")) or 0,
            )

        return read(self.send("GET", path, params=params, timeout=timeout), parse)

    def _exchange(self, attempt: Attempt, request: str, target: str, body: bytes | None) -> Response:
        """Return the response that comes within the attempt; a compressed one, which was not asked for, is not read."""
        started, content = self._clock.monotonic(), b""
        kind = {"Content-Type": "application/json"} if body else {}
        current.set(attempt)
        with self._pools.urlopen(
            request.partition(" ")[0],
            f"{self._base_url}/v3/{target}",
            redirect=False,
            body=body,
            headers={"User-Agent": "giftlib", **kind, **self._key.headers()},
            retries=False,
            preload_content=False,
            decode_content=False,
        ) as received:
            attempt.status = received.status
            if received.headers.get("Content-Encoding", "identity").strip().lower() == "identity":
                content = b"".join(received.stream(65536))
        without_key, now = self._key.without, self._clock.now_utc()
        response = read_response(request, received.status, received.headers, content, without_key, attempt.wait_s, now)
        self._learn(received.headers, response, started)
        return response._replace(latency_s=self._clock.monotonic() - started)

    def _learn(self, headers: Mapping[str, str], response: Response, sent: float) -> None:
        """Keep which emulator responded, if one did, and the time that it is there."""
        named = headers.get(INSTANCE_HEADER, "")
        if re.fullmatch("[0-9a-f]{32}", named):
            self.instance = named
        if response.time is not None:
            self.api_clock.observe(*response.time, sent)

    def _wait_for_rate_limit(self, request: str, longest: float) -> float:
        """Sleep until the request fits under the rate limit; return the seconds slept."""
        delay = self._rate_limit.delay_s()
        if not delay:
            return 0.0
        if delay > longest:
            raise NoAnswerError(
                f"{request}: not sent, the rate limit of {self._rate_limit.per_minute} requests per minute leaves no "
                f"room for it within {longest:.3g} s",
                sent=False,
            )
        started = self._clock.monotonic()
        self._clock.sleep(delay)
        return self._clock.monotonic() - started


def _diagnosis(error: BaseException | None, outer: BaseException | None) -> tuple[bool, str | None]:
    """Return whether the request timed out, and what broke.

    What broke is said in the operating system's words or OpenSSL's where there are any, never in the server's. `outer`,
    which the caller was handling, is ignored.
    """
    timed_out, reason = False, type(error).__name__ if isinstance(error, RuntimeError) else None
    while error is not None and error is not outer:
        timed_out = timed_out or (isinstance(error, TimeoutError) and error.errno is None)
        reason = getattr(error, "verify_message", None) or getattr(error, "strerror", None) or reason
        wrapped = (argument for argument in error.args if isinstance(argument, BaseException))
        error = error.__cause__ or error.__context__ or next(wrapped, None)
    return timed_out, reason


def _iso(name: str, time: datetime) -> str:
    if not isinstance(time, datetime) or time.tzinfo is None:
        raise ValueError(f"{name} must be a datetime with a time zone, got {time!r}")
    return time.isoformat(timespec="milliseconds")
