"""One request and its answer: under the key's ceiling, within a time-out, nothing secret in what is raised."""

import errno
import re
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import nullcontext
from decimal import Decimal
from http.client import HTTPException
from math import inf
from typing import Any

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ReadTimeoutError
from urllib3.util import Timeout

from giftlib.api.errors import NoAnswerError
from giftlib.api.responses import Answer, read_answer
from giftlib.api.transport import LARGEST_ANSWER, new_session
from giftlib.clock import Clock, SystemClock

_LONGEST_WAIT = 86400.0
"""Seconds on the wire whatever the time-out; sockets take no more than some weeks."""
_SHORTEST_KEY = 8
"""Texts shorter than this are no real keys; looking for them in answers would garble other words."""


class Exchange:
    """Sends requests to one host with one key. Nothing is sent twice.

    While `requests_per_minute` is set, each request waits until it fits under that ceiling in every window of 60 s.
    """

    def __init__(self, base_url: str, api_key: str, clock: Clock, request_timeout: float) -> None:
        self.requests_per_minute: int | None = None
        self._base_url = base_url
        self._clock = clock
        self._request_timeout = request_timeout
        self._session = new_session(base_url)
        self._session.headers["X-Access-Token"] = api_key
        letters = "".join("[-_]" if letter in "-_" else re.escape(letter) for letter in api_key)
        self._key = re.compile(letters, re.IGNORECASE) if len(api_key) >= _SHORTEST_KEY else None
        self._ended: deque[float] = deque(maxlen=120)

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """The answer, whatever it says; NoAnswerError if none comes whole within the time-out.

        `timeout` bounds waiting for a place and the exchange together, the client's time-out the exchange alone.
        """
        what = f"{method} /v3/{path}"
        left = inf if timeout is None else timeout
        allowed = min(left - self._wait_for_place(what, left), self._request_timeout)
        # Seconds of a simulated clock say nothing of the network's: there the clock itself ends the exchange.
        on_wire = allowed if isinstance(self._clock, SystemClock) else self._request_timeout
        limit = getattr(self._clock, "time_limit", nullcontext)
        started, status, outer = self._clock.monotonic(), None, sys.exception()
        interrupted: BaseException | None = None
        if method == "POST":
            self._session.close()  # a connection of its own: nothing left over on another can pass for the answer
        try:
            with (
                limit(allowed),
                self._session.request(
                    method,
                    f"{self._base_url}/v3/{path}",
                    params=params,
                    json=body,
                    timeout=Timeout(total=min(max(on_wire, 0.001), _LONGEST_WAIT)),  # type: ignore[arg-type]  # not in the stubs
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                status = response.status_code
                answer = self._read(what, response)
                return answer._replace(latency_s=self._clock.monotonic() - started)
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
            sent, timed_out, reason = _diagnosis(error, outer)
        except BaseException as error:
            interrupted = error
        finally:
            self._ended.append(self._clock.monotonic())
            if method == "POST":
                self._session.close()
        # Raised out here, without the content, so that neither what was read nor an exception of another library,
        # with the key in its request, hangs on it; nor the frames that hold them.
        if interrupted is not None:
            interrupted.__context__ = outer
            raise interrupted.with_traceback(None)
        if timed_out or self._clock.monotonic() - started >= allowed:
            reason = f"no answer within {allowed:.3g} s"
        raise NoAnswerError(f"{what}: {reason}", sent=sent, status=status)

    def _read(self, what: str, response: requests.Response) -> Answer:
        content = bytearray()
        for chunk in response.iter_content(65536):
            content += chunk
            if len(content) > LARGEST_ANSWER:
                raise OSError(errno.EMSGSIZE, "an answer of more than 10 MiB")
        return read_answer(
            what,
            response.status_code,
            response.headers,
            content,
            without_key=self._without_key,
            now=self._clock.now_utc(),
        )

    def _wait_for_place(self, what: str, longest: float) -> float:
        """Sleep until a request fits under the key's ceiling in every window of 60 s; give the seconds slept.

        A request counts from when it ended, since it may have arrived as late as that.
        """
        ceiling, now = self.requests_per_minute, self._clock.monotonic()
        if ceiling is None or len(self._ended) < ceiling or self._ended[-ceiling] <= now - 60:
            return 0.0
        wait = self._ended[-ceiling] + 60.001 - now
        if wait > longest:
            raise NoAnswerError(f"{what}: not sent, no place under {ceiling} requests a minute", sent=False)
        self._clock.sleep(wait)
        return self._clock.monotonic() - now

    def _without_key(self, raw: Any) -> Any:
        """A text, number or list of an answer, without the key should the answer repeat it, in whatever letters."""
        if isinstance(raw, list):
            return [self._without_key(item) for item in raw]
        if isinstance(raw, bool) or not isinstance(raw, str | int | Decimal) or self._key is None:
            return raw
        hidden = self._key.sub("****", str(raw))
        return raw if hidden == str(raw) else hidden


def _diagnosis(error: BaseException | None, outer: BaseException | None) -> tuple[bool, bool, str]:
    """Whether the request may have left, whether time ran out, and what broke.

    It left unless an error proves that no connection was made. What broke is told in the words of the operating
    system where it has some, never in those of the peer. `outer`, which the caller was handling, is not looked at.
    """
    sent, timed_out, reason = True, False, "the connection broke or the answer was not HTTP"
    while error is not None and error is not outer:
        sent = sent and not isinstance(error, ConnectTimeoutError)
        timed_out = timed_out or isinstance(error, TimeoutError | ReadTimeoutError)
        reason = getattr(error, "strerror", None) or reason
        error = error.__cause__ or error.__context__
    return sent, timed_out, reason
