"""What was ordered and polled, in SQLite; nothing here uses the network.

An *intent* is the record of an order request, written before the request is sent.

Read `store` first (the `Journal`), then `writer` (what is recorded, and when), `rows` (statements and rows that the
writer uses), `poll` (the record of one poll), `frames` (the SQL of the frames, with the interval in which each order
became final), `files` and `parquet` (frames as files), `tables` (the schema) and `merging`.
"""

from .files import guarded, read_orders, read_polls, write_frame
from .merging import copy_journal
from .poll import Poll
from .rows import LostOrder
from .store import Journal
