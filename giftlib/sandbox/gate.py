"""Who may pass: the key, the address, the lock-out and the ceiling."""

from collections import deque
from math import ceil

from .envelope import Refusal, Request
from .settings import Settings


class Gate:
    """Lets requests pass one by one, or refuses them; the ceiling counts those that pass."""

    def __init__(self, api_key: str, settings: Settings) -> None:
        self._key = api_key
        self._settings = settings
        self._wrong: dict[str, int] = {}
        self._blocked_until: dict[str, float] = {}
        self._admitted: deque[float] = deque()

    def admit(self, request: Request, now: float) -> None:
        """Count the request and let it pass, or raise its Refusal."""
        self._check_address(request, now)
        ceiling = self._settings.ceiling_per_minute
        if ceiling is None:
            return
        # A microsecond of tolerance: after exactly Retry-After seconds there must be room, whatever floats sum to.
        while self._admitted and now - self._admitted[0] >= 60 - 1e-6:
            self._admitted.popleft()
        if len(self._admitted) >= ceiling:
            wait = max(1, ceil(self._admitted[0] + 60 - now - 1e-6))
            raise Refusal(429, "RATE_LIMIT_EXCEEDED", "Too many requests", headers={"Retry-After": str(wait)})
        self._admitted.append(now)

    def _check_address(self, request: Request, now: float) -> None:
        address, settings = request.address, self._settings
        if now < self._blocked_until.get(address, now):
            raise Refusal(403, "IP_BLOCKED", "Your IP has been temporarily blocked due to too many invalid attempts")
        key = request.headers.get("X-Access-Token")
        if not key:
            raise Refusal(401, "MISSING_ACCESS_TOKEN", "Access token is required")
        if key != self._key:
            wrong = self._wrong.get(address, 0) + 1
            left = settings.lockout_attempts - wrong
            self._wrong[address] = wrong if left else 0
            if not left:
                self._blocked_until[address] = now + settings.lockout_s
            raise Refusal(401, "INVALID_ACCESS_TOKEN", "The provided access token is invalid", {"attemptsLeft": left})
        self._wrong.pop(address, None)
        if settings.allowed_ips and address not in settings.allowed_ips:
            raise Refusal(403, "IP_NOT_ALLOWED", "Your IP is not allowed to use this access token")
