"""The worlds that a report's orders come from: the vendor's API, the emulator, one that was set otherwise."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import pandas as pd


class World(NamedTuple):
    """The API or emulator that some of the orders were placed with, in words."""

    told: str
    orders: pd.DataFrame


def worlds_of(notebooks: Sequence[Mapping[str, Any]], orders: pd.DataFrame) -> list[World]:
    """The worlds in which the notebooks ran, each with the orders placed there, the most first; `orders` has them in
    the notebooks' order, and then those that nobody tells of."""
    of_world: dict[str, list[int]] = {}
    for number, notebook in enumerate(notebooks):
        of_world.setdefault(_told(notebook), []).append(number)
    ends = list(accumulate((notebook["orders"] for notebook in notebooks), initial=0))
    worlds = []
    for told, numbers in of_world.items():
        if len(of_world) > 1:
            told += f" Notebooks: {', '.join(notebooks[number]['name'].partition('_')[0] for number in numbers)}."
        frames = [orders.iloc[ends[number] : ends[number + 1]] for number in numbers]
        worlds.append(World(told, pd.concat(frames)))
    worlds.append(World("Where these orders were placed, the journal does not tell.", orders.iloc[ends[-1] :]))
    if ends[-1] > len(orders):
        raise ValueError(f"the note tells of {ends[-1]} orders, of {len(orders)}")
    return sorted(filter(lambda world: len(world.orders), worlds), key=lambda world: -len(world.orders))


def _told(notebook: Mapping[str, Any]) -> str:
    if notebook["environment"] == "vendor":
        kind = str(notebook["key_type"]).lower()
        return f"Vendor {kind}: measured on the API at {notebook['base_url']} with a {kind} key."
    told = "Emulator: measured on the embedded emulator and its simulated clock; not the vendor's figures."
    if notebook["settings"] is None:
        return f"{told} Each cell says how its emulator was set."
    changed = ", ".join(f"{name} = {value}" for name, value in notebook["settings"].items())
    return f"{told} It was set to {changed}." if changed else told
