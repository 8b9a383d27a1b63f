"""When to poll, one order, many orders, placing, and the recovery of lost orders.

Read `schedules` first (when to poll), then `poller` (one request), `waiting` (when it is due), `one_order` (wait for
one), `placing` and `handling` (place an order, handle its result), `many_orders` with its parts `run`, `rounds`,
`open_orders` and `order_list`, `recovery` (search for orders whose response was lost), and `progress` with `panel`
(what a person sees).
"""

from .handling import handle_order_result, process_order
from .many_orders import process_orders, track_orders
from .one_order import check_order_status, poll_order_until_complete
from .placing import place_order
from .poller import Poller
from .recovery import find_order, recover_orders
from .schedules import PollTime, Schedule, at_times, every, exponential, planned_pause, with_jitter
