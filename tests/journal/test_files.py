"""Frames taken away to Excel, CSV and Parquet, and read back: nothing is lost."""

import sys
from datetime import UTC, datetime
from decimal import Decimal

import dask.dataframe as dd
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_checks import place_and_wait
from thorough import tries

from giftlib import Journal, JournalError, read_orders, read_polls, write_frame
from giftlib.journal.frames import AMOUNTS, COLUMN_TYPES, TIMES

FORMATS = [".csv", ".xlsx", ".parquet"]
WITHOUT_ROWS = {read_orders: Journal().orders(), read_polls: Journal().polls()}
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=12
) | st.sampled_from(
    ["", "007", "1e5", "0x10", "NA", "null", "None", "nan", "inf", "TRUE", "1/2", "2026-01-01", "=1+1", "@SUM(A1)",
     "'", "''", "'=1", "#N/A", "#REF!", "#1042", "a,b", 'a"b', "a;b", " a ", "عربي", "\U0001f381", "_x0041_"]
)  # fmt: skip
AMOUNT = st.decimals(-(10**24), 10**24, places=12) | st.decimals(0, 10**6, places=2) | st.just(Decimal("9.95"))
SECONDS = st.floats(0, 1e300) | st.just(float("inf"))
TIME = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))


def values_of(name):
    """What a column may hold."""
    if name in TIMES:
        return TIME
    if name in AMOUNTS:
        return AMOUNT
    return {"Int64": st.integers(0, 10**12), float: SECONDS}.get(COLUMN_TYPES.get(name), TEXTS)


@st.composite
def frames(draw, empty):
    """Frames of some rows, each value present or missing."""
    n = draw(st.integers(0, 4))
    columns = {}
    for name in empty:
        never_missing = name in ("order_id", "problems")
        values = values_of(name) if never_missing else st.none() | values_of(name)
        columns[name] = pd.Series(draw(st.lists(values, min_size=n, max_size=n)), dtype=empty[name].dtype)
    return pd.DataFrame(columns)


def assert_same(read, frame, suffix):
    """Excel files have 16 digits of a number, of which the nearest float is read; all else is exact."""
    pd.testing.assert_frame_equal(read, frame, check_exact=False, rtol=6.2e-16 if suffix == ".xlsx" else 0, atol=0)
    for name in AMOUNTS:
        if name in frame:
            assert read[name].tolist() == frame[name].tolist()


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("read", WITHOUT_ROWS, ids=lambda read: read.__name__)
@given(data=st.data())
@settings(max_examples=tries(12, 500))
def test_round_trip(tmp_path_factory, read, suffix, data):
    """What is written is read back: columns, types, values, and what is missing."""
    frame = data.draw(frames(WITHOUT_ROWS[read]))
    path = tmp_path_factory.mktemp("files") / f"frame{suffix}"
    write_frame(frame, path)
    assert_same(read(path), frame, suffix)


@pytest.fixture
def recorded(sandbox, journal):
    """A journal with one order."""
    place_and_wait(sandbox, journal, "TEST_PARTIAL", 3)
    return journal


def test_excel_takes_times_and_amounts(recorded, tmp_path):
    """In Excel a time is a date, an amount and a count are numbers, an id is a text."""
    write_frame(recorded.orders().assign(order_id="007"), tmp_path / "orders.xlsx")
    names, cells = openpyxl.load_workbook(tmp_path / "orders.xlsx").active.rows
    row = dict(zip((cell.value for cell in names), cells))
    shown = recorded.orders()["placed_at"][0].tz_localize(None)
    assert abs(row["placed_at"].value - shown) <= pd.Timedelta(milliseconds=1) and row["placed_at"].is_date
    assert (row["order_id"].value, row["quantity"].value, row["refunded_amount"].value) == ("007", 3, 980)


def test_changed_in_excel(recorded, tmp_path):
    """A time, an amount and an id that someone changed in Excel are read as they were changed."""
    path = tmp_path / "orders.xlsx"
    write_frame(recorded.orders(), path)
    book = openpyxl.load_workbook(path)
    names = [cell.value for cell in next(book.active.rows)]
    for name, value in {"placed_at": datetime(2026, 3, 4, 5), "refunded_amount": 9.95, "ref": 7}.items():
        book.active.cell(2, names.index(name) + 1).value = value
    book.save(path)
    order = read_orders(path).iloc[0]
    assert order["placed_at"] == datetime(2026, 3, 4, 5, tzinfo=UTC)
    assert (order["refunded_amount"], order["ref"]) == (Decimal("9.95"), "7")


@pytest.mark.parametrize("suffix", FORMATS)
def test_own_columns(recorded, tmp_path, suffix):
    """Columns of one's own come along, times of a zone as local times; a file that is there is replaced."""
    path = tmp_path / f"ORDERS{suffix.upper()}"
    local = recorded.orders()["placed_at"].dt.tz_convert("Africa/Algiers")
    for title in ("before", "=Steam 50 $"):
        write_frame(recorded.orders().assign(title=title, local=local), path)
    orders = read_orders(path)
    assert orders["title"].tolist() == ["=Steam 50 $"]
    assert str(orders["local"][0]).startswith(f"{local[0]:%Y-%m-%d %H:%M:%S}")


def test_file_of_a_spreadsheet(tmp_path):
    """A CSV file with a byte order mark, counts with decimals and times without zone is read."""
    (tmp_path / "orders.csv").write_text(
        "\ufefforder_id,status,quantity,placed_at\n1,REFUNDED,4.0,2026-01-02 03:04:05\n", encoding="utf-8"
    )
    [order] = read_orders(tmp_path / "orders.csv").itertuples()
    assert (order.order_id, order.quantity, order.placed_at) == ("1", 4, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def test_folder(recorded, tmp_path):
    """What `Journal.to_parquet` writes for Dask is read too."""
    recorded.to_parquet(tmp_path / "orders")
    pd.testing.assert_frame_equal(read_orders(tmp_path / "orders"), recorded.orders())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("order_id;status\na;b\n", "must have the column 'order_id', got order_id;status"),
        ("order_id,type_id\na,b\n", "must have the column 'status', got order_id, type_id"),
        ("order_id,status,quantity\na,b,1.5\n", "quantity must hold whole numbers, got '1.5'"),
        ("order_id,status,polls\na,b,inf\n", "polls must hold whole numbers, got 'inf'"),
        ("order_id,status,refunded_amount\na,b,NaN\n", "refunded_amount must hold amounts, got 'NaN'"),
        ("order_id,status,done_by_s\na,b,soon\n", "done_by_s must hold numbers, got 'soon'"),
        ("order_id,status,placed_at\na,b,04/03/2026\n", "placed_at must hold ISO 8601 times, got '04/03/2026'"),
        ("", "cannot be read"),
        (b"PK\3\4\xff", "cannot be read"),
    ],
)
@pytest.mark.parametrize("suffix", FORMATS)
def test_no_orders(tmp_path, text, message, suffix):
    """A file that holds no orders is an error that names it, and what is wrong."""
    path = tmp_path / f"orders{suffix}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message if suffix == ".csv" else "cannot be read") as caught:
        read_orders(path)
    assert str(path) in str(caught.value)


def open_in_excel(path, rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


@pytest.mark.parametrize(("suffix", "name", "value", "message"), [
    (".csv", "title", "\ud83c", "title must hold texts that such a file can hold, got '.ud83c'"),
    (".xlsx", "title", "\x0b", "title must hold texts that such a file can hold, got '.x0b'"),
    (".xlsx", "\x0b", "a", "frame.columns must hold texts"),
    (".xlsx", "title", "x" * 32_768, "title must hold texts"),
    (".parquet", "title", "\ud83c", "title must hold texts"),
    (".parquet", "title", object(), "title"),
])  # fmt: skip
def test_failed_write(recorded, tmp_path, suffix, name, value, message):
    """What cannot be written is an error that names it, and the file that was there stays as it was."""
    path, orders = tmp_path / f"orders{suffix}", recorded.orders()
    write_frame(orders, path)
    before = path.read_bytes()
    values = value if isinstance(value, pd.Categorical) else pd.Series([value], dtype=object)
    with pytest.raises(ValueError, match=message):
        write_frame(orders.assign(**{name: values}), path)
    with pytest.raises(ValueError, match="frame must have each column once, got two 'status'"):
        write_frame(pd.concat([orders, orders[["status"]]], axis=1), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_no_formula(recorded, tmp_path, suffix):
    """Neither a category nor the name of a column is a formula in a spreadsheet, and both are read as they were."""
    path = tmp_path / f"orders{suffix}"
    write_frame(recorded.orders().assign(kind=pd.Categorical(["=1+1"]), **{"=2+2": "@SUM(A1)"}), path)
    read = pd.read_csv(path, dtype=str) if suffix == ".csv" else pd.read_excel(path, dtype=str)
    assert read.columns[-2:].isin(["'=2+2", "placed_at_exact"]).any() and (read["kind"] == "'=1+1").all()
    orders = read_orders(path)
    assert (orders["kind"][0], orders["=2+2"][0]) == ("=1+1", "@SUM(A1)")


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_rows_of_a_spreadsheet(tmp_path, suffix):
    """Empty rows are no orders, and a row without an order_id is named."""
    path = tmp_path / f"orders{suffix}"

    def write(*rows):
        names = ["order_id", "status", "refunded_amount"]
        if suffix == ".csv":
            path.write_text("\n".join(",".join(row) for row in [names, *rows]), encoding="utf-8")
        else:
            open_in_excel(path, [[cell or None for cell in row] for row in [names, *rows]])

    write(["a", "REFUNDED", "1"], ["", "", ""], ["b", "", ""], ["", "", ""])
    assert read_orders(path)["order_id"].tolist() == ["a", "b"]
    write(["a", "REFUNDED", "1"], ["", "", ""], ["", "Total", "1"])
    with pytest.raises(ValueError, match="must have an order_id in each row, got none in row 4, with 'Total'"):
        read_orders(path)


@pytest.mark.parametrize("column", ["refunded_amount", "quantity", "done_by_s"])
@pytest.mark.parametrize("value", [True, "1_000"])
def test_no_number(tmp_path, column, value):
    """Neither Excel's TRUE nor what Python alone reads as a number is one."""
    open_in_excel(tmp_path / "orders.xlsx", [["order_id", "status", column], ["a", "REFUNDED", value]])
    with pytest.raises(ValueError, match=f"{column} must hold .*, got {value!r}"):
        read_orders(tmp_path / "orders.xlsx")


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of Dask itself
def test_folder_of_dask(recorded, tmp_path):
    """A folder without days and with amounts as texts, as Dask writes it, is read."""
    orders = recorded.orders()
    dd.from_pandas(orders, npartitions=1).to_parquet(tmp_path / "orders")
    read = read_orders(tmp_path / "orders")
    pd.testing.assert_frame_equal(read, orders)
    assert read["refunded_amount"].tolist() == orders["refunded_amount"].tolist()


@pytest.mark.parametrize("path", ["orders", "orders.txt", "orders.xls", ".csv"])
def test_other_formats(journal, path):
    """Another format is an error that names those that there are."""
    for call in (lambda: write_frame(journal.orders(), path), lambda: read_orders(path)):
        with pytest.raises(ValueError, match="path must end in .csv, .xlsx or .parquet, got"):
            call()


@pytest.mark.parametrize(
    ("suffix", "package", "extra"), [(".xlsx", "openpyxl", "excel"), (".parquet", "pyarrow", "scale")]
)
def test_missing_package(recorded, tmp_path, monkeypatch, suffix, package, extra):
    """A package that is missing is named with the line that installs it."""
    write_frame(recorded.orders(), tmp_path / f"orders{suffix}")
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    for call in (write_frame, lambda _, path: read_orders(path)):
        with pytest.raises(JournalError, match=rf'pip install "giftlib\[{extra}\]"'):
            call(recorded.orders(), tmp_path / f"orders{suffix}")


def test_too_many_rows(journal, tmp_path):
    """A sheet of Excel has 1,048,576 rows."""
    polls = journal.polls().reindex(range(2**20))
    with pytest.raises(ValueError, match="frame must have at most 1048575 rows for Excel, got 1048576"):
        write_frame(polls, tmp_path / "polls.xlsx")
