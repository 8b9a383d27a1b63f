"""Frames that may lie in parts: a pandas frame is one part, a Dask frame has many, each where its worker is."""

from collections.abc import Callable
from typing import Any

import pandas as pd


def of_parts(frame: Any, columns: list[str], summarise: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """What `summarise` makes of the columns of each part, put together in memory."""
    frame = frame[columns]
    if isinstance(frame, pd.DataFrame):
        return summarise(frame)
    from dask.base import compute
    from dask.delayed import delayed

    summaries: tuple[pd.DataFrame, ...] = compute(*map(delayed(summarise), frame.to_delayed()))
    return pd.concat(summaries, ignore_index=True)
