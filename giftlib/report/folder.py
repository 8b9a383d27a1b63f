"""A report's folder: files come into it whole or not at all, and orders are kept if the report fails."""

import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import pandas as pd

from giftlib.api import GiftlibError
from giftlib.journal import Journal, guarded
from giftlib.report.manifest import files_of, sha256


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
    journals = [path for path in journals if path.stat().st_size]  # else its process was killed before it wrote
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


def require_ours(out: Path, names: Iterable[str], journal: Path | None = None) -> None:
    """Raise ValueError if a file in `out` with one of the names is no report's, or has orders that came since.

    `journal` is the one that is reported, which may lie there.
    """
    written = files_of(out)
    for name in (name for name in names if (out / name).exists()):
        path, is_ours = out / name, name in written or (name == "manifest.json" and len(written) > 0)
        if name == "journal.sqlite":
            log = path.with_name("journal.sqlite-wal")
            is_whole = path.is_file() and not (log.exists() and log.stat().st_size)
            is_ours = is_whole and sha256(path.read_bytes()) == written.get(name)
            is_ours |= journal is not None and path.samefile(journal)
        if not is_ours:
            raise ValueError(
                f"out must be a new folder or an earlier report's: {path} would be replaced, and is not as a report "
                "left it; choose another folder, or move the file"
            )


def place(content: Mapping[str, bytes], new: Path, out: Path) -> None:
    """Write the files into the folder `new`, and then move them to `out` in the place of those of an earlier report."""
    for name, written in content.items():  # the disk may be full: the report that was there before is still whole then
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).write_bytes(written)
    (out / "figures").mkdir(parents=True, exist_ok=True)
    old = files_of(out).keys() - content.keys()  # no other file is removed
    for path in (out / "transactions.csv", *(out / "figures").iterdir()):
        if path.is_file() and path.relative_to(out).as_posix() in old:
            path.unlink()
    for suffix in ("-wal", "-shm"):  # of a journal that was there before; SQLite would take them for the new one's
        (out / f"journal.sqlite{suffix}").unlink(missing_ok=True)
    for name, written in content.items():
        if not (out / name).exists() or (out / name).read_bytes() != written:
            (new / name).replace(out / name)


def as_csv(frame: pd.DataFrame) -> bytes:
    """Write a frame so that a spreadsheet takes it as it is."""
    # With another end of line a text with a carriage return would not be quoted, and begin a row of its own.
    text = guarded(frame).to_csv(
        index=False, float_format="%.6f", lineterminator="\r\n", date_format="%Y-%m-%dT%H:%M:%S.%fZ"
    )
    return text.encode()
