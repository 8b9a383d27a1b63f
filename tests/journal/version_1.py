"""A journal as version 1 wrote it, with a final order, an open one that was placed elsewhere, and a lost request."""

import sqlite3
from contextlib import closing

from samples import PRODUCT

_SCHEMA = """
CREATE TABLE orders (
    intent INTEGER PRIMARY KEY,
    order_id TEXT UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('intended', 'placed', 'not placed', 'unknown', 'watched')),
    product_id TEXT, type_id TEXT, quantity INTEGER,
    run TEXT, sent_us INTEGER, sent_s REAL, received_us INTEGER, received_s REAL,
    told_us INTEGER,
    status TEXT, is_final INTEGER NOT NULL DEFAULT 0,
    fulfilled_quantity INTEGER, fulfilled_amount TEXT, price_per_card TEXT, refunded_quantity INTEGER,
    refunded_amount TEXT, problems TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE polls (
    id INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (order_id),
    via TEXT NOT NULL CHECK (via IN ('check', 'list')),
    run TEXT NOT NULL,
    sent_us INTEGER NOT NULL, sent_s REAL NOT NULL, received_us INTEGER NOT NULL, received_s REAL NOT NULL,
    outcome TEXT NOT NULL,
    shows TEXT CHECK (shows IN ('open', 'final')),
    http_status INTEGER, retry_after_s REAL, request_id TEXT
);
CREATE INDEX polls_by_order ON polls (order_id, id);
"""
DAY_US = 1_761_699_600_000_000


def write_version_1(path, *, final, still_open):
    orders = [
        (1, final, "placed", PRODUCT, "TEST_PARTIAL", 2, "run", DAY_US, 5.0, DAY_US + 100_000, 5.1, None,
         "PARTIALLY_FILLED", 1, 1, "490", "490", 1, "490", "[]"),
        (2, still_open, "watched", None, None, 1, None, None, None, None, None, None,
         "HANDLING", 0, None, None, None, None, None, "[]"),
        (3, None, "unknown", PRODUCT, "type_001", 1, "run", DAY_US, 6.0, DAY_US, 6.1, None,
         None, 0, None, None, None, None, None, "[]"),
    ]  # fmt: skip
    polls = [
        (1, final, "check", "run", DAY_US, 7.0, DAY_US, 7.1, "HANDLING", "open", 200, None, None),
        (2, final, "check", "run", DAY_US, 12.0, DAY_US, 12.25, "PARTIALLY_FILLED", "final", 200, None, None),
        (3, still_open, "check", "run", DAY_US, 12.5, DAY_US, 12.6, "HANDLING", "open", 200, None, None),
    ]
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"PRAGMA journal_mode = WAL; {_SCHEMA} PRAGMA user_version = 1;")
        for table, rows in (("orders", orders), ("polls", polls)):
            db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        db.commit()
