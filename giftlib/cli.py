"""The command line: `python -m giftlib report | sandbox | track | calibrate`."""

import argparse
import errno
import signal
import sys
import threading
from pathlib import Path

from giftlib.api.errors import GiftlibError
from giftlib.clock import SystemClock
from giftlib.connection import connect
from giftlib.journal.store import Journal
from giftlib.polling.many_orders import track_orders
from giftlib.report import choose_notebooks, find_notebooks, options, rebuild_report, write_report
from giftlib.sandbox import Sandbox, Settings


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 if it did its work, 1 if not, 2 for wrong arguments."""
    parser = options.Parser(prog="giftlib", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    report = commands.add_parser("report", help="run all notebooks, or read a journal, and write the report")
    source = report.add_mutually_exclusive_group()
    source.add_argument("--notebooks", type=Path, default=Path("notebooks"), metavar="DIR")
    source.add_argument("--journal", type=options.file, metavar="FILE", help="report what it recorded, run nothing")
    report.add_argument("--out", type=options.folder, default=Path("report"), metavar="DIR")
    report.add_argument("--only", type=options.numbers, metavar="N,N", help="run the notebooks with these numbers")
    report.add_argument("--settings", type=options.file, metavar="FILE", help="what the emulator is like, JSON")
    report.add_argument("--orders", type=options.count, metavar="N", help="how many, over the notebooks' own number")
    report.add_argument("--seed", type=int, metavar="N", help="the emulator's, over the notebooks' own")
    report.add_argument("--interval", type=options.seconds, metavar="SECONDS", help="from look to look, over their own")
    report.set_defaults(run=_report, refuse=report.error)

    sandbox = commands.add_parser("sandbox", help="serve the emulator to any client until Ctrl-C or SIGTERM")
    sandbox.add_argument("--port", type=int, default=8080, help="0 is a free one")
    sandbox.add_argument("--host", default="127.0.0.1", help="the address to listen at; by default this machine alone")
    sandbox.add_argument("--settings", type=Path, metavar="FILE", help="what the service is like, JSON")
    sandbox.add_argument("--seed", type=int, default=0)
    sandbox.add_argument("--clock", choices=("system", "simulated"), default="system")
    sandbox.add_argument("--state", type=Path, metavar="FILE", help="keep all orders there, and go on from there")
    sandbox.add_argument("--control", action="store_true", help="serve /_sandbox/: reset, advance, faults, truth")
    sandbox.set_defaults(run=_sandbox)

    track = commands.add_parser("track", help="wait for orders until they are final")
    track.add_argument("order_ids", nargs="*", metavar="ID")
    track.add_argument("--journal", default=":memory:", metavar="FILE", help="go on with its unfinished orders")
    track.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS")
    track.set_defaults(run=_track)

    calibration = commands.add_parser("calibrate", help="find out what the API does, with a sandbox key")
    calibration.add_argument("--orders", type=options.count, default=100, metavar="N", help="to buy for it, about")
    calibration.add_argument("--out", type=Path, default=Path("settings.json"), metavar="FILE", help="for the emulator")
    calibration.set_defaults(run=_calibrate, refuse=calibration.error)

    chosen = parser.parse_args(arguments)
    try:
        code: int = chosen.run(chosen)
        return code
    except KeyboardInterrupt:
        return 1
    except (GiftlibError, OSError, ValueError) as error:
        print(f"giftlib: {error}", file=sys.stderr)
        return 1


def _report(chosen: argparse.Namespace) -> int:
    parameters = {"n_orders": chosen.orders, "seed": chosen.seed, "interval_s": chosen.interval}
    parameters = {name: value for name, value in parameters.items() if value is not None}
    if chosen.journal is not None:
        if parameters or chosen.only or chosen.settings:
            chosen.refuse("argument --journal: a journal is reported as it is, without any option but --out")
        print(rebuild_report(chosen.journal, chosen.out))
        return 0
    try:
        notebooks = find_notebooks(chosen.notebooks)
        notebooks = notebooks if chosen.only is None else choose_notebooks(notebooks, chosen.only)
        page = write_report(notebooks, chosen.out, parameters=parameters, settings=chosen.settings)
    except ValueError as error:
        chosen.refuse(str(error))
    print(page)
    return 0


def _sandbox(chosen: argparse.Namespace) -> int:
    settings = None if chosen.settings is None else Settings.read(chosen.settings)
    clock = SystemClock() if chosen.clock == "system" else None
    try:
        sandbox = Sandbox(
            chosen.seed,
            clock,
            host=chosen.host,
            port=chosen.port,
            settings=settings,
            state=chosen.state,
            control=chosen.control,
        )
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        print(f"giftlib: port {chosen.port} is taken; choose another, or --port 0 for a free one", file=sys.stderr)
        return 1
    with sandbox:
        stopped = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stopped.set())
        if len(sandbox.keys) == 1:
            sandbox.add_key("PRODUCTION")
            sandbox.add_key(scope="READ-ONLY")
        print(f"{sandbox.url}/v3  X-Access-Token: {sandbox.api_key}")
        print(f"{sandbox.url}/ tells the rest; Ctrl-C stops it", flush=True)
        while not stopped.wait(0.5):  # without an end no Ctrl-C comes through on Windows
            pass
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


def _calibrate(chosen: argparse.Namespace) -> int:
    from giftlib.calibration import calibrate

    if chosen.out.is_dir() or not chosen.out.absolute().parent.is_dir():
        chosen.refuse(f"argument --out: must be a file in a folder that is there, got {str(chosen.out)!r}")
    calibration = calibrate(connect(), orders=chosen.orders)
    table = calibration.table().drop(columns="default")
    for what, rows in (("differs from the defaults", table["differs"]), ("is not clear", table["found"] == "unclear")):
        shown = table[rows].drop(columns="differs").to_string(index=False) if rows.any() else "nothing"
        print(f"What {what}:\n{shown}\n")
    print(calibration)
    calibration.write(chosen.out)
    print(f"written to {chosen.out}")
    return 0
