"""The one retry: which failed reads may succeed later, when, and how often they are tried."""

from collections.abc import Callable
from typing import TypeVar

from giftlib.clock import Clock

from .errors import ApiError, GiftlibError, NoAnswerError

T = TypeVar("T")

_RETRYABLE_4XX = {408, 425, 429}
_LONGEST_DELAY_S = 60.0
"""The rate limit counts over a minute, so waiting longer than `Retry-After` of a minute gains nothing."""
_PAUSE_S = 5.0


def is_retryable(error: GiftlibError) -> bool:
    """Return whether the same read may succeed later: a 4xx does not pass, except 408, 425 and 429."""
    return not (isinstance(error, ApiError) and 400 <= error.status < 500 and error.status not in _RETRYABLE_4XX)


def retry_delay(response: object) -> float:
    """Return the seconds that an error, order or page asks to wait (`Retry-After`), at most 60; 0 without."""
    return min(getattr(response, "retry_after", None) or 0.0, _LONGEST_DELAY_S)


def retry_read(read: Callable[[], T], clock: Clock, tries: int) -> T:
    """Return what `read` returns, trying up to `tries` times, 5 s or what `Retry-After` asks for apart.

    Raise the error of the last try, or at once one that is not retryable. Only for requests that change nothing.
    """
    for left in reversed(range(tries)):
        try:
            return read()
        except (ApiError, NoAnswerError) as error:
            if not left or not is_retryable(error):
                raise
            clock.sleep(max(retry_delay(error), _PAUSE_S))
    raise AssertionError("tries is at least 1")
