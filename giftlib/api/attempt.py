"""One request on its way: when it ends, and how far it got."""

import errno
import socket
from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic
from typing import Any, TypeVar

from giftlib.clock import Clock

T = TypeVar("T")

_LARGEST = 10 * 2**20
"""Bytes: a card takes about 75, so each of the 100 orders on a page may have 1,400 cards."""
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.001, 0.02


class Attempt:
    """Bound a request by `allowed` seconds of its clock and by `longest` real ones, whichever end first.

    `peer` is the host that it is connecting to, `sent` whether any of it may have left, `status` the response's.
    """

    def __init__(self, clock: Clock, allowed: float, longest: float) -> None:
        self.peer, self.sent = "", False
        self.status: int | None = None
        self._clock = clock
        self._allowed, self._longest = max(allowed, _SHORTEST_WAIT_S), longest
        self._ends, self._ends_by_clock = monotonic() + longest, clock.monotonic() + self._allowed
        self._unread = _LARGEST

    def share_left(self) -> float:
        """Return how much of the time is left, from 1 to 0."""
        by_clock = (self._ends_by_clock - self._clock.monotonic()) / self._allowed
        return min((self._ends - monotonic()) / self._longest, by_clock)

    def wait_s(self, until: float = 0.0) -> float:
        """Return for how long to wait before this is asked again; raise TimeoutError if less than `until` is left.

        The waits are short: a clock of the caller may run at any speed.
        """
        left = self.share_left()
        if left < until:
            raise TimeoutError("timed out")
        return min(max((left - until) * min(self._allowed, self._longest), _SHORTEST_WAIT_S), _LONGEST_WAIT_S)

    def count(self, size: int) -> int:
        """Count bytes that were read and return how many they are; raise OSError if they are too many in all."""
        self._unread -= size
        if self._unread < 0:
            raise OSError(errno.EMSGSIZE, "a response of more than 10 MiB")
        return size

    def repeat(self, waiting: socket.socket, operation: Callable[..., T], *args: Any) -> T:
        """Return what an operation of the socket returns; it is repeated while it only times out."""
        while True:
            waiting.settimeout(self.wait_s())
            try:
                return operation(*args)
            except TimeoutError as error:
                if error.errno is not None:
                    raise  # the connection's own


current: ContextVar[Attempt] = ContextVar("current")
"""The request that the thread is making: the connections below several libraries have no other way to it."""
