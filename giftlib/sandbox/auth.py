"""Access keys, and who may pass: the key, the address, the lock-out and the ceiling."""

import random
import uuid
from collections import deque
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from .responses import Refusal, Request
from .settings import KEY_SCOPES, KEY_TYPES, Settings
from .validators import ADDRESSES, FLAG, one_of

_KINDS = {"type": one_of(*KEY_TYPES), "scope": one_of(*KEY_SCOPES), "allowed_ips": ADDRESSES, "enabled": FLAG}


@dataclass(frozen=True)
class Key:
    """A key and its properties, as validate tells them. A bad value is a ValueError that names what is accepted."""

    key: str = field(repr=False)
    type: str = "SANDBOX"
    scope: str = "READ-WRITE"
    allowed_ips: tuple[str, ...] = ()
    enabled: bool = True

    def __post_init__(self) -> None:
        for name, kind in _KINDS.items():
            if not kind.is_good(getattr(self, name)):
                raise ValueError(f"{name} must be {kind.accepted}, got {getattr(self, name)!r}")

    def properties(self) -> dict[str, Any]:
        """All but the key."""
        return {name: getattr(self, name) for name in _KINDS}


def draw_key(seed: Any, number: int, key_type: str, style: str) -> str:
    """The text of the `number`-th key that comes from the seed, from 0."""
    content = random.Random(f"{seed}:key" if number == 0 else f"{seed}:key:{number}").randbytes(16)
    if style == "uuid":
        return str(uuid.UUID(bytes=content, version=4))
    return f"sk_{'test' if key_type == 'SANDBOX' else 'live'}_{content.hex()}"


class Gate:
    """Lets requests pass one by one, or refuses them; the ceilings count those that pass."""

    def __init__(self, settings: Settings) -> None:
        self.keys: dict[str, Key] = {}
        self._settings = settings
        self._wrong: dict[str, int] = {}
        self._blocked_until: dict[str, float] = {}
        self._admitted: dict[str, deque[float]] = {}

    def admit(self, request: Request, now: float) -> Key:
        """Count the request and give the key that it passes with, or raise its Refusal."""
        key = self._key_of(request, now)
        sandbox = key.type == "SANDBOX"
        ceiling = self._settings.rate_limit_per_minute if sandbox else self._settings.production_rate_limit_per_minute
        if ceiling is None:
            return key
        admitted = self._admitted.setdefault(key.key, deque())
        # A microsecond of tolerance: after exactly Retry-After seconds there must be room, whatever floats sum to.
        while admitted and now - admitted[0] >= 60 - 1e-6:
            admitted.popleft()
        if len(admitted) >= ceiling:
            wait = max(1, ceil(admitted[0] + 60 - now - 1e-6))
            raise Refusal(429, "RATE_LIMIT_EXCEEDED", "Too many requests", headers={"Retry-After": str(wait)})
        admitted.append(now)
        return key

    def _key_of(self, request: Request, now: float) -> Key:
        address, settings = request.address, self._settings
        if now < self._blocked_until.get(address, now):
            raise Refusal(403, "IP_BLOCKED", "Your IP has been temporarily blocked due to too many invalid attempts")
        given = request.headers.get("X-Access-Token")
        if not given:
            raise Refusal(401, "MISSING_ACCESS_TOKEN", "Access token is required")
        key = self.keys.get(given)
        if key is None:
            wrong = self._wrong.get(address, 0) + 1
            left = settings.lockout_attempts - wrong
            self._wrong[address] = wrong if left else 0
            if not left:
                self._blocked_until[address] = now + settings.lockout_s
            message = "The provided access token is invalid"
            if settings.attempts_left_in == "message":
                raise Refusal(401, settings.bad_key_code, f"{message}, {left} attempts left")
            raise Refusal(401, settings.bad_key_code, message, {"attemptsLeft": left})
        self._wrong.pop(address, None)
        if not key.enabled:
            raise Refusal(403, "API_DISABLED", "This access token is disabled")
        if key.allowed_ips and address not in key.allowed_ips:
            raise Refusal(403, "IP_NOT_ALLOWED", "Your IP is not allowed to use this access token")
        return key
