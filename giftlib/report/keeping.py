"""The folder in which a report is made, and what is kept of its orders if it fails."""

import shlex
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import mkdtemp

from giftlib.api import GiftlibError
from giftlib.journal import Journal
from giftlib.report.archive import record


@contextmanager
def working_folder(out: Path) -> Iterator[Path]:
    """Make a folder in or beside `out` for a report on its way, with the journals of its kernels in `journals/`.

    It is removed in the end. Whatever ends the report before, its orders are kept, as they may be real ones, and a note
    of the error names the journal that has them.
    """
    nearest = next(path for path in (out.absolute(), *out.absolute().parents) if path.is_dir())
    work = Path(mkdtemp(prefix="giftlib-report-", dir=nearest))
    try:
        (work / "journals").mkdir()
        yield work
    except BaseException as error:
        failed = GiftlibError(str(error)) if isinstance(error, ValueError | ArithmeticError) else error
        for note in _kept_orders(work):
            failed.add_note(note)
        raise failed from None
    shutil.rmtree(work, ignore_errors=True)


def _kept_orders(work: Path) -> list[str]:
    """Put the orders of all journals in one beside the folder, remove the folder, and say how to go on."""
    kept, journals = work.with_suffix(".sqlite"), sorted((work / "journals").glob("*.sqlite"))
    try:
        for path in journals:
            Journal(path).close()  # its process may have been killed before it had its tables
        record({str(number): path for number, path in enumerate(journals, 1)}, None, kept)
        with closing(sqlite3.connect(kept)) as db:
            orders = db.execute("SELECT COUNT(*) FROM orders").fetchone()[0]
    except (GiftlibError, sqlite3.Error, OSError):  # as on a full disk
        kept.unlink(missing_ok=True)
        return [f"The orders placed so far are in the journals in {work / 'journals'}"]
    shutil.rmtree(work, ignore_errors=True)
    if not orders:
        kept.unlink()
        return []
    journal = shlex.quote(str(kept))
    go_on = [f"  giftlib {command} --journal {journal}" for command in ("track", "report")]
    return ["The orders placed so far are kept. To go on with them, and to report them:", *go_on]
