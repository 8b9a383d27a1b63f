"""Numbers, times and ids as people read them."""

import re
from datetime import datetime
from math import isfinite


def duration(seconds: float) -> str:
    """Say how long, to the second; below 10 s to a tenth.

    >>> duration(7.25), duration(29.6), duration(125), duration(3 * 3600 + 59)
    ('7.2 s', '30 s', '2 min 5 s', '3 h 0 min')
    """
    if not isfinite(seconds):
        return "not seen"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def moment(time: datetime) -> str:
    """Say when, to the second.

    >>> moment(datetime(2026, 1, 9, 7, 5, 3))
    '9 Jan 2026, 07:05:03'
    """
    return f"{time.day} {time:%b %Y, %H:%M:%S}"


def span(first: datetime, last: datetime) -> str:
    """Say from when to when.

    >>> span(datetime(2026, 1, 9, 7, 5), datetime(2026, 1, 9, 8, 1))
    '9 Jan 2026, 07:05:00 to 08:01:00 UTC'
    """
    end = f"{last:%H:%M:%S}" if first.date() == last.date() else moment(last)
    return f"{moment(first)} to {end} UTC"


def short(order_id: str) -> str:
    """Shorten an id to its end, which differs where the beginning is the time.

    >>> short("6901616fe9e88196b4eb64b3"), short("order-7")
    ('…b4eb64b3', 'order-7')
    """
    return f"…{order_id[-8:]}" if len(order_id) > 12 else order_id


def slug(text: str) -> str:
    """Make the end of an address of a heading.

    >>> slug("One order: requests against delay!")
    'one-order-requests-against-delay'
    """
    return "-".join(re.findall(r"\w+", text.lower())) or "part"
