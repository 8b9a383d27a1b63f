"""An emulator of the gift-card API: real HTTP on loopback, with a controlled clock, random numbers and faults.

A request travels from the port to the money: `listener` and `connections` (sockets), `server` (latency, one request
after the other), `service` (faults, records), `router`, `auth`, `endpoints` with `request_parsing` and `responses`,
then `backend`, `account`, `ledger`, `orders`, `catalog`. `sandbox` and `emulator` are what users hold, `settings` and
`faults` what they choose; `event_log` keeps the state in a file, `admin`, `pages` and `openapi` are beside the API.
Read them in this order. At import nothing of giftlib is loaded but `giftlib.clock`.
"""

from .faults import MIXED, Fault, at_rate
from .sandbox import Sandbox
from .settings import Settings

__all__ = ["MIXED", "Fault", "Sandbox", "Settings", "at_rate"]
