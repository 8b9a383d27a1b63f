"""Which API a client talks to, and what time it is there."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf

from giftlib.clock import Clock

DEFAULT_BASE_URL = "https://api.oneclickdz.com"
INSTANCE_HEADER = "X-Emulator-Instance"
"""An emulator names itself in it: two that were started with the same seed give the same ids to different orders."""
_DRIFT = 1e-3
"""The most by which two clocks are taken to go apart, as a part of the time that passes."""
_IN_STEP_S = 10.0
"""After so many seconds of agreement the clocks are taken to keep pace."""


@dataclass(frozen=True)
class Source:
    """Name an API whose order ids are unique: the vendor's or another host's with an account, or one emulator.

    `kind` is "vendor" (the vendor's own host and no other), "emulator" (it names itself in its responses), "other" or
    "unknown". `key_type` is `SANDBOX` or `PRODUCTION`, or None if the API did not say.

    >>> from giftlib import connect
    >>> connect().source.kind
    'emulator'
    """

    kind: str = "unknown"
    host: str | None = field(default=None, compare=False)
    account: str | None = None
    key_type: str | None = None
    instance: str | None = None

    @classmethod
    def of(cls, base_url: str, instance: str | None, account: str | None, key_type: str | None) -> "Source":
        """Return the source at that address, whose responses name that instance of an emulator, or none."""
        scheme, _, host = base_url.lower().partition("://")
        host = host.removesuffix(":443")
        if f"{scheme}://{host}" == DEFAULT_BASE_URL:
            return cls("vendor", host, account, key_type, host)
        kind = "emulator" if instance else "other"
        return cls(kind, host, account, key_type, instance or host)

    def __str__(self) -> str:
        where = self.kind if self.kind in ("emulator", "unknown") else f"{self.kind} {self.host}"
        return f"{where}, {self.key_type} key" if self.key_type else where

    @property
    def way_back(self) -> str:
        """Return in words how to connect to this source again."""
        key = f"set ONECLICKDZ_API_KEY to a {self.key_type or 'valid'} key of account {self.account or 'unknown'}"
        address = f"and ONECLICKDZ_BASE_URL to its address (it was {self.host})"
        return {
            "vendor": key,
            "other": f"{key} {address}",
            "emulator": f"if it still runs, or goes on from its state file, {key} {address}",
        }.get(self.kind, "set ONECLICKDZ_API_KEY to a key of the account that placed it")


class ApiClock:
    """Know the API's time within bounds, from the times in its responses and the monotonic clock here.

    Neither a wrong wall clock here nor one that is stepped matters. Where the monotonic clock does not keep pace with
    the API's, as in a simulation, it is certain only that it is later there than in the last response.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._bounds: tuple[float, float, float] | None = None  # of the API's time less monotonic time, and since when
        self._written = 0.0
        self._in_step_s = 0.0

    def observe(self, written: datetime, resolution: timedelta, sent: float) -> None:
        """Take in the time that a response just received has, whose request was sent at `sent` in monotonic seconds."""
        now, self._written = self._clock.monotonic(), written.timestamp()
        lowest, highest = self._written - now, self._written + resolution.total_seconds() - sent
        if self._bounds is not None:
            low, high = self._widened(now)
            if max(low, lowest) <= min(high, highest):
                self._in_step_s += now - self._bounds[2]
                lowest, highest = max(low, lowest), min(high, highest)
            else:
                self._in_step_s = -inf
        self._bounds = lowest, highest, now

    def now(self) -> tuple[datetime | None, datetime | None]:
        """Return the earliest and the latest that it can be there; None if no response had a time."""
        if self._bounds is None:
            return None, None
        now = self._clock.monotonic()
        low, high = self._widened(now)
        earliest = now + low if self._in_step_s >= _IN_STEP_S else self._written
        return datetime.fromtimestamp(earliest, UTC), datetime.fromtimestamp(max(now + high, earliest), UTC)

    def during(self, sent: float, received: float) -> tuple[datetime | None, datetime | None]:
        """Return the earliest and the latest that it can have been there between two monotonic seconds not long ago."""
        if self._bounds is None:
            return None, None
        low, high = self._widened(self._clock.monotonic())
        return datetime.fromtimestamp(sent + low, UTC), datetime.fromtimestamp(received + high, UTC)

    def _widened(self, now: float) -> tuple[float, float]:
        assert self._bounds is not None
        low, high, since = self._bounds
        margin = _DRIFT * (now - since)
        return low - margin, high + margin
