"""How far a report is, in a terminal: by notebook, and by the orders in the journals that its kernels write."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Thread

from tqdm import tqdm


def with_progress(notebooks: Sequence[Path], journals: Path) -> Iterator[Path]:
    """Yield the notebooks, and show a bar while they run. Nothing is shown where no terminal is."""
    bar, ended = tqdm(notebooks, unit="notebook", disable=None), Event()

    def show_orders() -> None:
        while not ended.wait(0.5):
            placed, final = count_orders(journals)
            bar.set_postfix_str(f"{final} of {placed} orders final")

    if not bar.disable:
        Thread(target=show_orders, daemon=True).start()
    try:
        for path in bar:
            bar.set_description(path.stem)
            yield path
    finally:
        ended.set()


def count_orders(journals: Path) -> tuple[int, int]:
    """Count the orders in the journals of a folder, and those of them that are final, while programs write to them."""
    counts = [(0, 0)]
    for path in journals.glob("*.sqlite"):
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", timeout=0.1, uri=True)) as db:
            counts.append(db.execute("SELECT COUNT(*), COALESCE(SUM(is_final), 0) FROM orders").fetchone())
    placed, final = map(sum, zip(*counts, strict=True))
    return placed, final
