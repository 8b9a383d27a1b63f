"""The commands and their options; each imports what it needs when it runs, so that the emulator starts at once."""

import argparse
import errno
import signal
import sys
import threading
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

import giftlib

from .converters import count, file, folder, new_file, numbers, parameter, setting


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 if it did its work, 1 if not, 2 (SystemExit) for wrong arguments."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for what the output's encoding lacks
    parser = _Parser(prog="giftlib", description=(giftlib.__doc__ or "").partition("\n")[0])
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    report = commands.add_parser("report", help="run the notebooks, or read a journal, and write the report")
    source = report.add_mutually_exclusive_group()
    source.add_argument("--notebooks", type=Path, default="notebooks", metavar="DIR", help="where the notebooks are")
    source.add_argument("--journal", type=file, metavar="FILE", help="report what it recorded, run nothing")
    report.add_argument("--out", type=folder, default="report", metavar="DIR", help="where to write the report")
    report.add_argument("--only", type=numbers, metavar="N,N", help="run only the notebooks with these numbers")
    report.add_argument("--settings", type=file, metavar="FILE", help="how the emulator behaves, JSON")
    report.add_argument("--param", action="append", default=[], type=parameter, metavar="NAME=VALUE", dest="parameters",
                        help="set it in each notebook that has it, like n_orders=500; can be repeated")  # fmt: skip
    report.add_argument("--compare", type=Path, metavar="EARLIER", help="say what changed since this report or journal")
    report.add_argument("--title", default="Gift-card orders", help="the page's title")
    report.add_argument("--logo", type=file, metavar="FILE", help="a picture for the page's head: SVG, PNG or JPEG")
    report.add_argument("--no-code", action="store_true", help="leave the notebooks' code out of the page")
    report.add_argument("--pdf", action="store_true", help="print the page to a PDF beside the folder, with Chromium")
    report.add_argument("--transactions", type=file, metavar="FILE", help="the account's, as CSV, to reconcile with")
    report.add_argument("--require", action="append", default=[], metavar="LIMIT",
                        help="a threshold, like median<=15s; can be repeated; exit code 3 if not met")  # fmt: skip
    report.set_defaults(run=_report, reject=report.error)

    sandbox = commands.add_parser("sandbox", help="serve the emulator to any client until Ctrl-C or SIGTERM")
    sandbox.add_argument("--port", type=int, default=8080, help="8080 by default; 0 takes a free one")
    sandbox.add_argument("--host", default="127.0.0.1", help="the address to listen on; by default this machine alone")
    sandbox.add_argument("--settings", type=Path, metavar="FILE", help="how the emulator behaves, JSON")
    sandbox.add_argument("--set", action="append", default=[], type=setting, metavar="NAME=VALUE", dest="changes",
                         help="one of its settings, over the file's; can be repeated")  # fmt: skip
    sandbox.add_argument("--api-key", metavar="KEY", help="the first key, instead of one that the seed determines")
    sandbox.add_argument("--allow-host", action="append", default=[], metavar="NAME",
                         help="a name by which / and /_sandbox/ are reached too; can be repeated")  # fmt: skip
    sandbox.add_argument("--seed", type=int, default=0, help="of all that is drawn at random, 0 by default")
    sandbox.add_argument("--clock", choices=("system", "simulated"), default="system")
    sandbox.add_argument("--state", type=Path, metavar="FILE", help="keep all orders in it, and go on from there")
    sandbox.add_argument("--control", action="store_true", help="serve /_sandbox/: reset, advance, faults, truth")
    sandbox.add_argument("--proxy", type=new_file, metavar="FILE", help="serve every host through an HTTP proxy too, "
                         "and write the certificate to trust to FILE")  # fmt: skip
    sandbox.set_defaults(run=_sandbox, reject=sandbox.error)

    track = commands.add_parser("track", help="poll orders until they are final")
    track.add_argument("order_ids", nargs="*", metavar="ID")
    track.add_argument("--journal", type=file, metavar="FILE", help="go on with its unfinished orders")
    track.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS", help="300 by default")
    track.set_defaults(run=_track)

    verify = commands.add_parser("verify", help="check that a report's files are as they were written")
    verify.add_argument("folder", type=Path, metavar="DIR", help="the report's folder")
    verify.set_defaults(run=_verify)

    compare = commands.add_parser("compare", help="say what changed between two reports or journals")
    for name in ("earlier", "now"):
        compare.add_argument(name, type=Path, help="a report's folder, or a journal's file")
    compare.set_defaults(run=_compare)

    calibrate = commands.add_parser("calibrate", help="find out how the API behaves, with a sandbox key")
    calibrate.add_argument("--orders", type=count, default=100, metavar="N", help="about how many to place for it")
    calibrate.add_argument(
        "--out", type=new_file, default="settings.json", metavar="FILE", help="the emulator's settings"
    )
    calibrate.set_defaults(run=_calibrate)

    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.run(chosen) or 0)
    except (KeyboardInterrupt, giftlib.GiftlibError, OSError, ValueError) as error:
        message = f"giftlib: {str(error) or 'interrupted'}"
        print(message, *getattr(error, "__notes__", []), sep="\n", file=sys.stderr)
        return 1


_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:  # one line, without the usage before it
        self.exit(2, f"{self.prog}: error: {message}\n")


class _Version(argparse.Action):  # reads the version only when asked for it
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print("giftlib", giftlib.__version__)
        parser.exit()


def _report(chosen: argparse.Namespace) -> int:
    parameters = dict(chosen.parameters)
    if chosen.journal and (parameters or chosen.only or chosen.settings):
        chosen.reject("argument --journal: what a journal recorded cannot be changed by --only, --param or --settings")
    if chosen.transactions and not chosen.journal:
        chosen.reject("argument --transactions: goes with --journal; a notebook keeps them in a variable transactions")
    if not chosen.journal and not chosen.notebooks.is_dir():
        source = "giftlib's notebooks come with its source, not with the package: run this there"
        chosen.reject(f"no folder {chosen.notebooks}; {source}, or give --notebooks DIR or --journal FILE")
    from giftlib.report import Style, find_notebooks, print_pdf, rebuild_report, unmet, write_report

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the kernels, keeps the orders
    try:
        style = Style.of(chosen.title, chosen.logo, code=not chosen.no_code)
        options = {"require": chosen.require, "style": style, "compare": chosen.compare}
        if chosen.journal:
            page = rebuild_report(chosen.journal, chosen.out, transactions=chosen.transactions, **options)
        else:
            notebooks = find_notebooks(chosen.notebooks, chosen.only)
            page = write_report(notebooks, chosen.out, parameters=parameters, settings=chosen.settings, **options)
    except ValueError as error:
        chosen.reject(str(error))
    print(page)
    missed = unmet(page.parent)
    for each in missed:
        print(f"giftlib: {each}", file=sys.stderr)
    try:
        if chosen.pdf:
            print(print_pdf(page))
    except giftlib.GiftlibError as error:
        print(f"giftlib: {error}", file=sys.stderr)
        return 3 if missed else 1
    return 3 if missed else 0


def _verify(chosen: argparse.Namespace) -> bool:
    from giftlib.report import verify_report

    files, differences = verify_report(chosen.folder)
    print(*differences or [f"all {files} files are as written"], sep="\n")
    return bool(differences)


def _compare(chosen: argparse.Namespace) -> None:
    from giftlib.report import as_text, compare_reports

    print(as_text(compare_reports(chosen.earlier, chosen.now)))


def _sandbox(chosen: argparse.Namespace) -> None:
    from giftlib.sandbox import Sandbox, Settings

    settings = None if chosen.settings is None else Settings.read(chosen.settings)
    clock = giftlib.SystemClock() if chosen.clock == "system" else None
    try:
        read = Settings.from_json(dict(chosen.changes))
        settings = (settings or Settings()).but(**{name: getattr(read, name) for name, _ in chosen.changes})
    except ValueError as error:
        chosen.reject(str(error))
    names = ("host", "port", "state", "control", "api_key", "allow_host")
    options = {name: getattr(chosen, name) for name in names} | {"proxy_port": 0 if chosen.proxy else None}
    try:
        sandbox = Sandbox(chosen.seed, clock, settings=settings, **options)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise ValueError(f"port {chosen.port} is taken; choose another, or --port 0 for a free one") from None
    with sandbox:
        stopped = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stopped.set())
        if len(sandbox.keys) == 1:
            sandbox.add_key("PRODUCTION")
            sandbox.add_key(scope="READ-ONLY")
        print(f"export ONECLICKDZ_BASE_URL={sandbox.url}")
        print(f"export ONECLICKDZ_API_KEY={sandbox.api_key}")
        if sandbox.proxy:
            chosen.proxy.write_bytes(sandbox.proxy.certificate)
            print(f"export HTTPS_PROXY={sandbox.proxy.url} HTTP_PROXY={sandbox.proxy.url}")
            print("export", *(f"{name}={chosen.proxy.absolute()}" for name in _CA_VARIABLES))
        print(f"# {sandbox.url}/ shows the rest; Ctrl-C stops it", flush=True)
        while not stopped.wait(0.5):  # without an end no Ctrl-C comes through on Windows
            pass


def _track(chosen: argparse.Namespace) -> bool:
    client, journal = giftlib.connect(), giftlib.Journal(chosen.journal or ":memory:")
    print(client)
    lost = giftlib.recover_orders(journal, client)
    ours, all_open = journal.unfinished(client.source), journal.unfinished()
    # Where none of the open orders is of this API, tracking them says where they are from.
    giftlib.track_orders(
        [*chosen.order_ids, *(ours or all_open)], timeout=chosen.timeout, client=client, journal=journal
    )
    orders = journal.orders()
    print(orders[["order_id", "source", "status", "not_done_by_s", "done_by_s"]].to_string(index=False))
    unclear = lost[lost["order_id"].isna() & (lost["state"] != "not placed")]
    if len(unclear):
        print("\nPlaced with unknown outcome, and the orders that may be theirs:")
        print(unclear.drop(columns="order_id").to_string(index=False))
    if others := len(all_open) - len(ours):
        print(f"\n{others} open orders are of other sources:\n{journal.sources().to_string(index=False)}")
    return bool(journal.unfinished()) or len(unclear) > 0 or not set(chosen.order_ids) <= {*orders["order_id"]}


def _calibrate(chosen: argparse.Namespace) -> None:
    from giftlib.calibration import calibrate

    calibration = calibrate(giftlib.connect(), orders=chosen.orders)
    table = calibration.table().drop(columns="default")
    for what, rows in (("differs from the defaults", table["differs"]), ("is not clear", table["found"] == "unclear")):
        shown = table[rows].drop(columns="differs").to_string(index=False) if rows.any() else "nothing"
        print(f"What {what}:\n{shown}\n")
    print(calibration)
    calibration.write(chosen.out)
    print(f"written to {chosen.out}")
