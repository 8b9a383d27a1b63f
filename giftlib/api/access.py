"""A key and what is known of it: its type, its rate limit, and which API it is for."""

import re
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from typing import NoReturn, Self

from giftlib.clock import Clock, SystemClock, Timestamp, check_clock, name_of

from .display import as_html
from .errors import NotFoundError, ProductionKeyError
from .key import Key
from .models import ApiKey
from .parsing import as_dict, as_text
from .rate_limit import RateLimit
from .session import ApiSession
from .source import DEFAULT_BASE_URL, Source
from .transport import is_loopback
from .validation import check_seconds, shown

_PER_MINUTE = {"SANDBOX": 60, "PRODUCTION": 120}
"""The published rate limits, by type of key."""


class Access:
    """Hold a key and the session that it is used with; see `Client` for the arguments.

    `made_for` is the emulator in this process that the client was made for, in words, or None; `is_closed` says
    whether `close` was called.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str = DEFAULT_BASE_URL,
        *,
        clock: Clock | None = None,
        request_timeout: float = 15.0,
        allow_production: bool = False,
    ) -> None:
        try:
            key = Key(api_key)
        finally:
            del api_key  # whatever fails from here on, no listing of variables shows it
        if not isinstance(allow_production, bool):
            raise ValueError(f"allow_production must be True or False, got {shown(allow_production)}")
        self.base_url = _checked_url(base_url)
        check_clock(clock)
        self.clock = SystemClock() if clock is None else clock
        self.request_timeout = check_seconds("request_timeout", request_timeout)
        self.allow_production = allow_production
        self.made_for: str | None = None
        self.is_closed = False
        self._validated: ApiKey | None = None
        self.rate_limit = RateLimit(self.clock)
        self._opened = ExitStack()
        self._session = ApiSession(self.base_url, key, self.clock, self.request_timeout, self.rate_limit)

    def __repr__(self) -> str:
        return f"Client({self.where if hasattr(self, '_session') else 'not made'})"  # as a debugger may see it

    def _repr_html_(self) -> str:
        limit = f" of {self.rate_limit.per_minute}" if self.rate_limit.per_minute else ""
        used = f"{self.rate_limit.recent()}{limit} in the last minute"
        return as_html("Client", {"where": self.where, "requests": used})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and the emulator if `connect` started one; a client need not be closed."""
        self.is_closed = True
        self._session.close()
        self._opened.close()

    def closing(self, close: Callable[[], object]) -> None:
        """Call `close` too when the client is closed or no longer used."""
        self._opened.callback(weakref.finalize(self, close))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Client holds a key and is not pickled; make a new one")

    @property
    def key_type(self) -> str | None:
        """Return the type of the key; None if it was not validated, or the API did not say."""
        return None if self._validated is None else self._validated.type

    def limit_rate(self) -> None:
        """Keep to the key's rate limit from now on, or to the lowest published one while the key's type is unknown."""
        if self.rate_limit.per_minute is None:
            self.rate_limit.per_minute = _PER_MINUTE.get(self.key_type or "", min(_PER_MINUTE.values()))

    def validate(self, *, timeout: float | None = None) -> ApiKey:
        """Return what the API knows of the key. The key itself, which the response repeats, is dropped."""
        data = self._session.get("validate", timeout=timeout).data
        shown = as_dict(data.get("apiKey") or data.get("key"))
        key = ApiKey.from_response(shown, username=as_text(data.get("username")))
        self._validated = key
        self.rate_limit.per_minute = _PER_MINUTE.get(key.type or "")
        return key

    @property
    def where(self) -> str:
        """Return in words where requests go and the type of the key, as far as it is known; none is sent for it."""
        host = self.made_for or self.base_url.partition("://")[2]
        if not self.made_for and self._session.instance and self.base_url != DEFAULT_BASE_URL:
            host = f"emulator at {host}, {name_of(self.clock)}"
        return f"{host}, " + (f"{self.key_type or 'unknown'} key" if self._validated else "key not yet validated")

    @property
    def source(self) -> Source:
        """Return which API this is; the key is validated first, if it was not yet."""
        return self.identify()

    def identify(self, *, timeout: float | None = None) -> Source:
        """Return `source`, taking at most `timeout` seconds."""
        if self._validated is None:
            try:
                self.validate(timeout=timeout)
            except NotFoundError:
                self._validated = ApiKey.from_response({})  # a server without that endpoint
        assert self._validated is not None
        return Source.of(self.base_url, self._session.instance, self._validated.username, self._validated.type)

    def api_time(self) -> tuple[datetime | None, datetime | None]:
        """Return the earliest and the latest that it can be by the API's clock; None where no response had a time."""
        return self._session.api_clock.now()

    def api_now(self) -> Timestamp:
        """Return the present time by the API's clock, as far as it is known; else by the one here."""
        return Timestamp(self.api_time()[0] or self.clock.now_utc(), self.clock.monotonic())

    def api_time_during(self, sent: float, received: float) -> tuple[datetime | None, datetime | None]:
        """Return the earliest and the latest, by the API's clock, that a request can have been made at.

        It was sent and its response received at these monotonic seconds of the clock here, not long ago.
        """
        return self._session.api_clock.during(sent, received)

    def require_sandbox_key(self) -> None:
        """Raise ProductionKeyError unless the key is a sandbox key or orders with real money were allowed."""
        if self.allow_production:
            return
        if self.key_type is None:
            self.validate()
        if self.key_type != "SANDBOX":
            raise ProductionKeyError(
                f"the key's type is {self.key_type or 'unknown'}, not SANDBOX: an order would cost real money; "
                f"pass allow_production=True to place it all the same"
            )


def _checked_url(base_url: str | None) -> str:
    url = DEFAULT_BASE_URL if base_url is None else str(base_url).strip().rstrip("/") or DEFAULT_BASE_URL
    url = url.removesuffix("/v3").rstrip("/")  # as the vendor writes the address
    parts = re.fullmatch(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", url, re.IGNORECASE)
    if (
        not parts
        or int((parts[3] or ":0")[1:]) > 65535
        or (parts[1].lower() == "http" and not is_loopback(parts[2].lower().strip("[]")))
    ):
        raise ValueError(
            "base_url must be https:// and a host (plain http only for this machine), with /v3 or nothing after it "
            "(value not shown, it may hold a secret)"
        )
    return url
