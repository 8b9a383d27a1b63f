"""Access keys, and which requests pass: by key, address, lock-out and rate limit."""

import random
import uuid
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from .messages import ErrorResponse, Request
from .settings import KEY_SCOPES, KEY_TYPES, Settings
from .validators import ADDRESSES, FLAG, Checked, checked, one_of


@dataclass(frozen=True)
class Key(Checked):
    """A key and its properties, as validate reports them; `name` is what it is called where it must not be seen.

    A bad value is a ValueError that says what is accepted.
    """

    key: str = field(repr=False)
    name: str = field(default="", repr=False)
    type: str = checked("SANDBOX", one_of(*KEY_TYPES))
    scope: str = checked("READ-WRITE", one_of(*KEY_SCOPES))
    allowed_ips: tuple[str, ...] = checked((), ADDRESSES)
    enabled: bool = checked(True, FLAG)


def draw_key(seed: Any, number: int, key_type: str, style: str) -> str:
    """Give the text of the `number`-th key of the seed, from 0."""
    content = random.Random(f"{seed}:key" if number == 0 else f"{seed}:key:{number}").randbytes(16)
    if style == "uuid":
        return str(uuid.UUID(bytes=content, version=4))
    return f"sk_{'test' if key_type == 'SANDBOX' else 'live'}_{content.hex()}"


class Authenticator:
    """Admits requests one by one, or rejects them; the rate limits count those that were admitted."""

    def __init__(self, settings: Settings) -> None:
        self.keys: dict[str, Key] = {}
        self._settings = settings
        self._wrong: Counter[str] = Counter()
        self._blocked_until: dict[str, float] = {}
        self._admitted: dict[str, deque[float]] = defaultdict(deque)

    def unblock(self) -> None:
        """End every lock-out, and forget the wrong keys that were counted."""
        self._wrong.clear()
        self._blocked_until.clear()

    def admit(self, request: Request, now: float) -> Key:
        """Count the request and give its key, or raise its ErrorResponse; `now` is a monotonic second."""
        key, settings = self._key_of(request, now), self._settings
        sandbox = key.type == "SANDBOX"
        limit = settings.rate_limit_per_minute if sandbox else settings.production_rate_limit_per_minute
        if limit is None:
            return key
        admitted = self._admitted[key.key]
        # A microsecond of tolerance: after exactly Retry-After seconds there must be room, whatever floats sum to.
        while admitted and now - admitted[0] >= 60 - 1e-6:
            admitted.popleft()
        if len(admitted) >= limit:
            wait = max(1, ceil(admitted[0] + 60 - now - 1e-6))
            raise ErrorResponse(429, "RATE_LIMIT_EXCEEDED", "Too many requests", headers={"Retry-After": str(wait)})
        admitted.append(now)
        return key

    def _key_of(self, request: Request, now: float) -> Key:
        address, settings = request.address, self._settings
        if now < self._blocked_until.get(address, now):
            message = "Your IP has been temporarily blocked due to too many invalid attempts"
            raise ErrorResponse(403, "IP_BLOCKED", message)
        given = request.headers.get("X-Access-Token")
        if not given:
            raise ErrorResponse(401, "MISSING_ACCESS_TOKEN", "Access token is required")
        key = self.keys.get(given)
        if key is None:
            self._wrong[address] += 1
            left = settings.lockout_attempts - self._wrong[address]
            if not left:
                del self._wrong[address]
                self._blocked_until[address] = now + settings.lockout_s
            message = "The provided access token is invalid"
            if settings.attempts_left_in == "message":
                raise ErrorResponse(401, settings.bad_key_code, f"{message}, {left} attempts left")
            raise ErrorResponse(401, settings.bad_key_code, message, {"attemptsLeft": left})
        self._wrong.pop(address, None)
        if not key.enabled:
            raise ErrorResponse(403, "API_DISABLED", "This access token is disabled")
        if key.allowed_ips and address not in key.allowed_ips:
            raise ErrorResponse(403, "IP_NOT_ALLOWED", "Your IP is not allowed to use this access token")
        return key
