"""What was ordered and polled, in SQLite. Knows no network.

Read `store` first (the `Journal` and its frames), then `writer` (what is recorded, and when), `poll` (the record of one
poll), `frames` (the SQL from which the frames come, with the intervals), `tables` and `parquet`.
"""

from .poll import Poll, failed_poll, successful_poll
from .store import Journal
from .writer import LostOrder

__all__ = ["Journal", "LostOrder", "Poll", "failed_poll", "successful_poll"]
