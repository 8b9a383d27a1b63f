"""An emulator of the gift-card API: real HTTP on loopback, with a controlled clock, random numbers and faults.

Users hold a `Sandbox` (its methods for tests stand in `emulator`) and choose `settings` and `faults`. A request goes
through `listener` (the port), `connections`, `service` (latency, faults, `requests`), `router`, `auth`, `endpoints`,
then `backend`, `account`, `orders` and `catalog`: read them in this order. `event_log` keeps the state in a file;
`pages` are not part of the API.

At import nothing of giftlib is loaded but `giftlib.clock`.
"""

from .faults import MIXED, Fault, at_rate
from .sandbox import Sandbox
from .settings import Outcome, Settings

__all__ = ["MIXED", "Fault", "Outcome", "Sandbox", "Settings", "at_rate"]
