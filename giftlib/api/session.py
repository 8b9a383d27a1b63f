"""Send a request and read its response, within one time-out and the rate limit, and hide the key whatever happens."""

import errno
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime
from decimal import Decimal
from http.client import HTTPException
from math import inf
from typing import Any

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ReadTimeoutError
from urllib3.util import Timeout

from giftlib.clock import Clock, SystemClock

from .errors import NoAnswerError
from .models import Item, Page
from .parsing import as_count, as_dict
from .rate_limit import RateLimit
from .responses import Response, read_response
from .source import INSTANCE_HEADER, ApiClock
from .transport import LARGEST_RESPONSE, new_session
from .validation import check_count, check_seconds

LARGEST_PAGE = 100
_LONGEST_WAIT_S = 86400.0
"""The most a socket waits whatever the time-out; sockets take no more than some weeks."""
_SHORTEST_KEY = 8
"""Texts shorter than this are no real keys; looking for them in responses would garble other words."""


class ApiSession:
    """Send requests to one host with one key. Nothing is sent twice.

    Each request waits until it fits under `rate_limit`. `api_clock` and `instance`, the name of the emulator that
    responded or None, are known from the responses.
    """

    def __init__(
        self, base_url: str, api_key: str, clock: Clock, request_timeout: float, rate_limit: RateLimit
    ) -> None:
        self._base_url = base_url
        self._clock = clock
        self._request_timeout = request_timeout
        self._rate_limit = rate_limit
        self.api_clock = ApiClock(clock)
        self.instance: str | None = None
        self._http = new_session(base_url)
        self._http.headers["X-Access-Token"] = api_key
        letters = "".join("[-_]" if letter in "-_" else re.escape(letter) for letter in api_key)
        self._key = re.compile(letters, re.IGNORECASE) if len(api_key) >= _SHORTEST_KEY else None

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

        `timeout` bounds the wait for the rate limit and the request together, the client's time-out the request alone.
        """
        request = f"{method} /v3/{path}"
        left = inf if timeout is None else timeout
        allowed = min(left - self._wait_for_rate_limit(request, left), self._request_timeout)
        # Seconds of a simulated clock are not the network's: there the clock itself ends the request.
        on_wire = allowed if isinstance(self._clock, SystemClock) else self._request_timeout
        limit = getattr(self._clock, "time_limit", nullcontext)
        started, status, outer = self._clock.monotonic(), None, sys.exception()
        interrupted: BaseException | None = None
        if method == "POST":
            self._http.close()  # a connection of its own: nothing left on another can be taken for the response
        try:
            with (
                limit(allowed),
                self._http.request(
                    method,
                    f"{self._base_url}/v3/{path}",
                    params=params,
                    json=body,
                    timeout=Timeout(total=min(max(on_wire, 0.001), _LONGEST_WAIT_S)),  # type: ignore[arg-type]  # not in the stubs
                    allow_redirects=False,
                    stream=True,
                ) as received,
            ):
                status = received.status_code
                response = self._read(request, received)
                self._learn(received.headers, response, started)
                return response._replace(latency_s=self._clock.monotonic() - started)
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
            sent, timed_out, reason = _diagnosis(error, outer)
        except BaseException as error:
            interrupted = error
        finally:
            self._rate_limit.count()
            if method == "POST":
                self._http.close()
        # Raised out here, without the content, so that neither what was read nor an exception of another library,
        # with the key in its request, hangs on it; nor the frames that hold them.
        if interrupted is not None:
            interrupted.__context__ = outer
            raise interrupted.with_traceback(None)
        if timed_out or self._clock.monotonic() - started >= allowed:
            reason = f"no response within {allowed:.3g} s"
        raise NoAnswerError(f"{request}: {reason}", sent=sent, status=status)

    def get(self, path: str, *, params: Mapping[str, Any] | None = None, timeout: float | None = None) -> Response:
        """Return the successful response to a GET; raise what every other one means."""
        if timeout is not None:
            check_seconds("timeout", timeout or 1e-3)  # 0: the time has just run out
        response = self.send("GET", path, params=params, timeout=timeout)
        response.raise_for_error()
        return response

    def page(
        self,
        path: str,
        read: Callable[[Any], Item],
        page: int,
        page_size: int,
        since: datetime | None,
        until: datetime | None,
        timeout: float | None = None,
    ) -> Page[Item]:
        """Return one page of a list, each item as `read` returns it."""
        params: dict[str, Any] = {
            "page": check_count("page", page),
            "pageSize": check_count("page_size", page_size, most=LARGEST_PAGE),
        }
        if (since is None) != (until is None):
            raise ValueError(f"since and until must be given together, got since={since!r}, until={until!r}")
        if since is not None and until is not None:
            params |= {"from": _iso("since", since), "to": _iso("until", until)}
        response = self.get(path, params=params, timeout=timeout)
        pagination = as_dict(response.data.get("pagination"))
        return Page(
            items=tuple(map(read, response.items("items"))),
            page=page,
            page_size=page_size,
            total_pages=as_count(pagination.get("totalPages")) or 0,
            total_results=as_count(pagination.get("totalResults")) or 0,
        )

    def _read(self, request: str, received: requests.Response) -> Response:
        content = bytearray()
        for chunk in received.iter_content(65536):
            content += chunk
            if len(content) > LARGEST_RESPONSE:
                raise OSError(errno.EMSGSIZE, "a response of more than 10 MiB")
        return read_response(
            request,
            received.status_code,
            received.headers,
            content,
            without_key=self._without_key,
            now=self._clock.now_utc(),
        )

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

    def _without_key(self, raw: Any) -> Any:
        """Return a text, number or list of a response with the key, in upper or lower case, replaced by `****`."""
        if isinstance(raw, list):
            return [self._without_key(item) for item in raw]
        if isinstance(raw, bool) or not isinstance(raw, str | int | Decimal) or self._key is None:
            return raw
        hidden = self._key.sub("****", str(raw))
        return raw if hidden == str(raw) else hidden


def _diagnosis(error: BaseException | None, outer: BaseException | None) -> tuple[bool, bool, str]:
    """Return whether the request may have left, whether it timed out, and what broke.

    It may have left unless an error proves that no connection was made. What broke is said in the operating system's
    words where there are any, never in the server's. `outer`, which the caller was handling, is ignored.
    """
    sent, timed_out, reason = True, False, "the connection broke or the response was not HTTP"
    while error is not None and error is not outer:
        sent = sent and not isinstance(error, ConnectTimeoutError)
        timed_out = timed_out or isinstance(error, TimeoutError | ReadTimeoutError)
        reason = getattr(error, "strerror", None) or reason
        error = error.__cause__ or error.__context__
    return sent, timed_out, reason


def _iso(name: str, time: datetime) -> str:
    if not isinstance(time, datetime) or time.tzinfo is None:
        raise ValueError(f"{name} must be a datetime with a time zone, got {time!r}")
    return time.isoformat(timespec="milliseconds")
