"""The folder in which a report is made, and what is kept of its orders if it fails."""

import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from giftlib.api import GiftlibError
from giftlib.journal import Journal


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
        with Journal(kept) as journal:
            journal.merge(*journals)
            requests = len(journal.orders()) + len(journal.intents())
    except (GiftlibError, OSError):  # as on a full disk
        kept.unlink(missing_ok=True)
        return [f"The orders placed so far are in the journals in {work / 'journals'}"]
    shutil.rmtree(work, ignore_errors=True)
    if not requests:
        kept.unlink()
        return []
    file = shlex.quote(str(kept))
    go_on = [f"  giftlib {command} --journal {file}" for command in ("track", "report")]
    return ["The orders placed so far are kept. To go on with them, and to report them:", *go_on]
