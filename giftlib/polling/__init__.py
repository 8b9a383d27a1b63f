"""Schedules of polls, waiting for one order or for many, placing orders, and recovery of lost ones.

Read `schedules` first (when to poll), then `poller` (one request), `waiting` (when it is due), `placing` (place an
order), `one_order` (wait for it and handle it), `many_orders` with its parts `rounds`, `open_orders` and `order_list`,
`recovery` (search for orders whose response was lost), and `progress` with `panel` (what a person sees).
"""

from .many_orders import process_orders, track_orders
from .one_order import check_order_status, handle_order_result, poll_order_until_complete, process_order
from .placing import place_order
from .poller import Poller
from .recovery import find_order, recover_orders
from .schedules import PollTime, Schedule, at_times, every, exponential, planned_pause, with_jitter
