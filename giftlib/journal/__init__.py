"""What was ordered and polled, in SQLite; nothing here uses the network.

An *intent* is the record of an order request, written before the request is sent.

Read `store` first (the `Journal` and its frames), then `writer` (what is recorded, and when), `rows` (parts of that),
`poll` (the record of one poll), `frames` (the SQL from which the frames come, with the intervals), `files` and
`parquet` (in which people take them away), `tables` and `merging`.
"""

from .files import guarded, read_orders, read_polls, write_frame
from .merging import copy_journal
from .poll import Poll
from .rows import LostOrder
from .store import Journal
