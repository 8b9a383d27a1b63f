"""The command line: `python -m giftlib report | notebooks | sandbox | track`."""

import argparse
import sys
import threading
from contextlib import suppress
from pathlib import Path

import nbformat
from tqdm import tqdm

from giftlib.clock import SystemClock
from giftlib.connection import connect
from giftlib.errors import GiftlibError
from giftlib.journal import Journal
from giftlib.notebooks import run_notebook
from giftlib.report import find_notebooks, write_report
from giftlib.sandbox import Sandbox
from giftlib.tracking import track_orders


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 if it did its work, 1 if not, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="giftlib", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    report = commands.add_parser("report", help="run all notebooks and write the report")
    report.add_argument("--notebooks", type=Path, default=Path("notebooks"), metavar="DIR")
    report.add_argument("--out", type=Path, default=Path("report"), metavar="DIR")
    report.set_defaults(run=_report)

    notebooks = commands.add_parser("notebooks", help="run all notebooks and keep their outputs in them")
    notebooks.add_argument("--notebooks", type=Path, default=Path("notebooks"), metavar="DIR")
    notebooks.set_defaults(run=_notebooks)

    sandbox = commands.add_parser("sandbox", help="serve the emulator to any client, on the system clock")
    sandbox.add_argument("--port", type=int, default=8080)
    sandbox.add_argument("--seed", type=int, default=0)
    sandbox.set_defaults(run=_sandbox)

    track = commands.add_parser("track", help="wait for orders until they are final")
    track.add_argument("order_ids", nargs="*", metavar="ID")
    track.add_argument("--journal", default=":memory:", metavar="FILE", help="go on with its unfinished orders")
    track.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS")
    track.set_defaults(run=_track)

    chosen = parser.parse_args(arguments)
    try:
        return chosen.run(chosen)
    except KeyboardInterrupt:
        return 1
    except (GiftlibError, OSError, ValueError) as error:
        print(f"giftlib: {error}", file=sys.stderr)
        return 1


def _report(chosen: argparse.Namespace) -> int:
    print(write_report(find_notebooks(chosen.notebooks), chosen.out))
    return 0


def _notebooks(chosen: argparse.Namespace) -> int:
    for path in tqdm(find_notebooks(chosen.notebooks), unit="notebook"):
        nbformat.write(run_notebook(path), path)
    return 0


def _sandbox(chosen: argparse.Namespace) -> int:
    with Sandbox(chosen.seed, SystemClock(), port=chosen.port) as sandbox:
        print(f"{sandbox.url}/v3  X-Access-Token: {sandbox.api_key}", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
    return 0


def _track(chosen: argparse.Namespace) -> int:
    journal, client = Journal(chosen.journal), connect()
    lost = journal.reconcile(client)
    track_orders([*chosen.order_ids, *journal.unfinished()], timeout=chosen.timeout, client=client, journal=journal)
    print(journal.orders()[["order_id", "status", "not_done_by_s", "done_by_s"]].to_string(index=False))
    unclear = lost[lost["order_id"].isna()]
    if len(unclear):
        print("\nPurchases of unknown outcome, and the orders that may be theirs:")
        print(unclear.drop(columns="order_id").to_string(index=False))
    return 1 if journal.unfinished() or len(unclear) else 0


if __name__ == "__main__":
    sys.exit(main())
