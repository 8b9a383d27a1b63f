"""An emulator of the gift-card API: real HTTP on loopback, with a controlled clock, random numbers and faults.

A user needs `sandbox` (the class), `emulator` (its methods for tests), `settings` and `faults`. Read `sandbox` first,
then the modules through which a request goes, one after the other: `listener` (the port), `connections` (bytes),
`service` (latency and faults), `router`, `auth`, `endpoints`, `backend`, `account`, `orders` and `catalog`.
`messages` has what they hand on, `request_log` the log of what was asked, `event_log` the file that keeps the state,
`validators` the checks of settings, `pages` and `proxy` what is no part of the API.

When it is imported, nothing of giftlib is loaded but `giftlib.clock`.
"""

from .faults import MIXED, Fault, at_rate
from .sandbox import Sandbox
from .settings import Outcome, Settings

__all__ = ["MIXED", "Fault", "Outcome", "Sandbox", "Settings", "at_rate"]
