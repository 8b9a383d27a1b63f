"""The report of notebooks: page, data and manifest of one run, which is made twice as if by two people."""

import csv
import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from html import unescape
from io import StringIO

import pandas as pd
import pytest
from matplotlib import get_cachedir
from reporting import OTHERS, PLACE, files_of, head_of, manifest_of, page_of, write_journal, write_notebook
from samples import ORDER_ID, PRODUCT

import giftlib
import giftlib.report
from giftlib import GiftlibError, Journal, read_orders, read_polls
from giftlib.cli import main
from giftlib.report import find_notebooks, unmet
from giftlib.report.folder import as_csv
from giftlib.report.recorded import read_recorded
from giftlib.sandbox import Sandbox


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebooks")
    write_notebook(folder / "1_batch.ipynb")
    return folder


def renamed_host(name):
    """The beginning of a command that runs the rest of it on a host of that name; empty where that is not allowed."""
    command = ["unshare", "--map-root-user", "--uts", "sh", "-c", f'hostname {name} && exec "$@"', "sh"]
    allowed = shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True).returncode == 0
    return command if allowed else []


@pytest.fixture(scope="module")
def reports(folder, tmp_path_factory):
    """The same notebook reported twice, as if by two people on two machines."""
    outs, runs = [], []
    earlier = write_journal(tmp_path_factory.mktemp("earlier") / "own.sqlite")
    for name, zone, locale, seed in (("here", "Asia/Tokyo", "C", "1"), ("there", "America/Lima", "C.UTF-8", "2")):
        home = tmp_path_factory.mktemp(name)
        startup = home / ".ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        kernel = home / ".local" / "share" / "jupyter" / "kernels" / "python3"
        kernel.mkdir(parents=True)
        (kernel / "kernel.json").write_text('{"argv": ["false"], "display_name": "Mine", "language": "python"}')
        (startup / "greet.py").write_text(f"import matplotlib; matplotlib.rcParams['font.size'] = {len(name)}")
        outs.append(home / "report")
        command = [sys.executable, "-m", "giftlib", "report", "--notebooks", str(folder), "--out", str(outs[-1])]
        command += ["--compare", str(earlier)]
        environment = {
            **os.environ, "TZ": zone, "LC_ALL": locale, "PYTHONHASHSEED": seed, "HOSTNAME": name, "USER": name,
            "LOGNAME": name, "HOME": str(home), "JUPYTER_PREFER_ENV_PATH": "0", "MPLCONFIGDIR": get_cachedir(),
            **({"MPLBACKEND": "agg", "PYTHONWARNINGS": "default"} if name == "here" else {}),
        }  # fmt: skip
        runs.append(subprocess.Popen([*renamed_host(name), *command], env=environment, stdout=subprocess.DEVNULL))
    assert [run.wait() for run in runs] == [0, 0]
    return outs


@pytest.fixture(scope="module")
def report(reports):
    return reports[0]


@pytest.fixture(scope="module")
def rebuilt(report, tmp_path_factory):
    """The report made again from the first one's journal, with a key for a host that nobody can reach."""
    out = tmp_path_factory.mktemp("rebuilt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONECLICKDZ_API_KEY", "some-key")
        patch.setenv("ONECLICKDZ_BASE_URL", "http://127.0.0.1:9")
        options = ["--compare", str(report)]
        assert main(["report", "--journal", str(report / "journal.sqlite"), "--out", str(out), *options]) == 0
    return out


def test_files(report):
    """The report is one page with its data beside it."""
    assert sorted(files_of(report)) == [
        "figures/1_batch-1.svg", "index.html", "journal.sqlite", "manifest.json", "orders.csv", "polls.csv",
        "transactions.csv",
    ]  # fmt: skip


def test_same_bytes(reports):
    """Two people on two machines write the same bytes, but for the provenance."""
    first, second = map(files_of, reports)
    first["manifest.json"], second["manifest.json"] = map(manifest_of, reports)
    provenance = [files["manifest.json"].pop("provenance") for files in (first, second)]
    assert first == second
    if renamed_host("any"):
        assert [made["host"] for made in provenance] == ["here", "there"]


def test_no_provenance(report):
    """The page holds nothing of the provenance."""
    page, provenance = page_of(report), manifest_of(report)["provenance"]
    for value in (provenance["made_at"], provenance["platform"], f"v{provenance['packages']['matplotlib']}"):
        assert value not in page


def test_warning(report):
    """A warning does not show where Python lies."""
    page = page_of(report)
    assert "RuntimeWarning: Mean of empty slice" in page
    assert sys.prefix not in page


def test_no_network(report):
    """The page needs no network."""
    page = re.sub(r'src="data:image/[^"]*"', "", page_of(report))
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    assert not re.findall(r"@import|url\(", page)
    assert "default-src 'none'; img-src data:" in page
    assert len(page_of(report)) < 500_000


def test_ids(report):
    """No two elements of the page have the same id."""
    ids = re.findall(r'\bid="([^"]+)"', page_of(report))
    assert "1_batch" in ids
    assert len(ids) == len(set(ids))


def test_head(report):
    """The head shows environment, outcomes, times and money."""
    head = head_of(report)
    assert "Emulator: " in head
    assert "1&nbsp;FULFILLED, 1&nbsp;PARTIALLY_FILLED, 1&nbsp;REFUNDED" in head
    assert "2,940 DA" in head  # 4 and 2 cards of 490 dinars charged, 4 and 2 refunded
    assert "charged for 6 of 12 cards" in head
    for name in ("median", "95th percentile"):
        interval = r"95&nbsp;% interval: [\d. morethan]+ s<"
        assert re.search(rf"<b>[\d.]+ s</b><span>{name} time to fulfilment; {interval}", head)
    assert f"giftlib {giftlib.__version__}" in head and "1 Jan 2026, 00:00:00 to" in head


def test_head_figures(report):
    """Two figures at the head say what they show, as a whole and mark by mark."""
    head = head_of(report)
    assert re.search(r'aria-label="Time to fulfilment: 3 of 3 orders became final: half by [\d.]+ s \(', head)
    assert "Money by outcome: Dinars. FULFILLED: 1,960 charged; " in head
    assert "<title>PARTIALLY_FILLED: 980 DA charged</title>" in head
    assert re.search(r"<title>by [\d.]+ s: \d+ % of the orders are final \(", head)


def test_orders(report):
    """Every order is on the page, with its polls and without a script."""
    page = page_of(report)
    orders, polls = (pd.read_csv(report / name, dtype=str) for name in ("orders.csv", "polls.csv"))
    for order_id in orders["order_id"]:
        [row] = re.findall(rf'<summary title="{order_id}">.*?</tr>', page, re.DOTALL)
        shown = row.count(": HANDLING") + len(re.findall(": (FULFILLED|PARTIALLY_FILLED|REFUNDED)", row))
        assert shown == (polls["order_id"] == order_id).sum()


def test_code(report):
    """Code is folded, heading and code have what a reader needs to find and quote them."""
    page = page_of(report)
    assert "<summary>Code, 2 lines</summary>" in page
    assert 'href="#1_batch" aria-label="Link to: A small batch"' in page


def test_required(report):
    """A report without thresholds has none to miss."""
    assert unmet(report) == []
    assert manifest_of(report)["verdict"] == "Amber: too few final orders to say how long the slowest 5 % take."


def test_verify(report, tmp_path, capsys):
    """A file that is missing, changed or not the report's own is named; a report as it was written is said to be so."""
    assert main(["verify", str(report)]) == 0
    assert capsys.readouterr().out == "all 6 files are as written\n"
    copy = shutil.copytree(report, tmp_path / "copy")
    (copy / "orders.csv").unlink()
    (copy / "polls.csv").write_text("x")
    (copy / "figures" / "new.svg").touch()
    assert main(["verify", str(copy)]) == 1
    assert capsys.readouterr().out == "missing: orders.csv\nchanged: polls.csv\nextra: figures/new.svg\n"


@pytest.mark.parametrize("manifest", [None, "", "[]", "{}", '{"files": 3}', "[" * 100_000])
def test_verify_nothing(tmp_path, capsys, manifest):
    """A folder that holds no report is an error of one line."""
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    assert main(["verify", str(tmp_path)]) == 1
    assert re.fullmatch("giftlib: .+ is not a report: it has no manifest.json .+\n", capsys.readouterr().err)


def test_alt(report):
    """A figure is in the page in words, too."""
    [alt] = re.findall(r'<img alt="([^"]*)" src="data:image/svg\+xml', page_of(report))
    assert alt.startswith("Across: dinars, 0 to ") and "Shown: charged, refunded." in alt and "1,960 charged" in alt


def test_compared(report, rebuilt):
    """The page says in its head what changed since another report, links to it, and shows it in a table."""
    for out, said in ((report, "Differs: "), (rebuilt, "Data identical, byte for byte.")):
        assert re.search(rf'<a class="badge" href="#changes">[^<]*{said}', head_of(out))
        section = page_of(out).partition('<section class="notebook" id="changes">')[2].partition("</section>")[0]
        assert '<th scope="row">charged</th>' in section
    assert '<th scope="row">refunded</th><td>980 DA</td><td>2,940 DA</td><td>+1,960 DA</td>' in page_of(report)
    [sha256] = re.findall('"compared": {\n    "sha256": "(.+)"', (rebuilt / "manifest.json").read_text())
    assert sha256 == hashlib.sha256((report / "journal.sqlite").read_bytes()).hexdigest()


def test_links(report):
    """A link to a notebook leads to its section; one to a notebook that is not on the page is plain text."""
    assert '<p>This is <a href="#1_batch">a batch</a>; another comes later.</p>' in page_of(report)


def test_frames(report):
    """The frames lie beside the page, with exact amounts."""
    orders, polls = (pd.read_csv(report / name, dtype=str) for name in ("orders.csv", "polls.csv"))
    assert orders["refunded_amount"].tolist() == ["0", "1960", "980"]
    assert set(polls["order_id"]) == set(orders["order_id"])
    with Journal(report / "journal.sqlite") as journal:
        for read, frame in ((read_orders, journal.orders()), (read_polls, journal.polls())):
            pd.testing.assert_frame_equal(read(report / f"{read.__name__[5:]}.csv"), frame, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "text",
    ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'quoted", "'=1", "\uff1d1", "a=1", 'x",=1',
     "a\r=1", "a\n=1"],
    ids=repr,
)  # fmt: skip
def test_formulas(tmp_path, text):
    """A text that a spreadsheet would run begins with an apostrophe; without that one it is what it was."""
    path = write_journal(tmp_path / "own.sqlite", types=["type_001"])
    with sqlite3.connect(path) as db:
        db.execute("UPDATE orders SET type_id = ?, refunded_amount = '-5'", (text,))
        db.execute("UPDATE polls SET outcome = ?", (text,))
    db.close()
    with Journal(path) as journal:
        orders, polls = (list(csv.reader(StringIO(as_csv(frame).decode(), ""))) for frame in
                         (journal.orders(), journal.polls()))  # fmt: skip
    for frame, column in ((orders, "type_id"), (polls, "outcome")):
        cells = [row[frame[0].index(column)] for row in frame[1:]]
        assert len(cells) > 0
        for cell in cells:
            assert cell[0] not in "=+-@\t\r\n\uff1d"
            assert cell.removeprefix("'") == text
    assert orders[1][orders[0].index("refunded_amount")] == "-5"


def test_manifest(report, folder):
    """The manifest says what was run and what came of it."""
    manifest = manifest_of(report)
    [notebook] = manifest["notebooks"]
    assert (notebook["name"], notebook["environment"], notebook["seed"]) == ("1_batch.ipynb", "emulator", 9)
    assert notebook["parameters"] == {"seed": 9, "n_orders": 3}
    assert notebook["sha256"] == hashlib.sha256((folder / "1_batch.ipynb").read_bytes()).hexdigest()
    assert {"made_at", "host", "platform", "python", "packages"} <= set(manifest["provenance"])
    assert manifest["source"]["version"]
    files = {name: content for name, content in files_of(report).items() if name != "manifest.json"}
    assert manifest["files"] == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def test_no_secrets(report, rebuilt):
    """No code, no serial and no key is in a report."""
    with Sandbox(9) as sandbox:
        key = sandbox.api_key.encode()
    for content in (*files_of(report).values(), *files_of(rebuilt).values()):
        assert key not in content
        assert not re.search(rb"SANDBOX-(CARD-)?\d", content)


def test_rebuilt_figures(report, rebuilt):
    """A journal gives the same figures again."""
    before, after = head_of(report), head_of(rebuilt)
    parts = (before, after)
    tiles, verdicts = ([part[part.index(f'class="{name}') :] for part in parts] for name in ("tiles", "verdict"))
    assert tiles[0] == tiles[1]
    assert verdicts[0].partition('<p class="source">')[0] == verdicts[1].partition('<p class="source">')[0]
    for name in ("orders.csv", "polls.csv", "transactions.csv", "journal.sqlite"):
        assert (rebuilt / name).read_bytes() == (report / name).read_bytes()


def test_rebuilt_origin(report, rebuilt):
    """The report of a journal says so, and where that was recorded."""
    digest = hashlib.sha256((report / "journal.sqlite").read_bytes()).hexdigest()
    assert re.search(rf"Emulator: .*Journal: [^<]*{digest[:12]}", head_of(rebuilt))
    assert manifest_of(rebuilt)["journal"]["sha256"] == digest


def test_rebuilt_alt(rebuilt):
    """The report of a journal has figures with descriptions."""
    alternatives = re.findall(r'<img alt="([^"]*)"', page_of(rebuilt))
    assert len(alternatives) == 3
    assert all(len(words) > 40 and "Figure size" not in words for words in alternatives)


def test_emulator_with_key(tmp_path, monkeypatch):
    """A run with a key for an emulator in another place is not headed as the vendor's."""
    cells = f"""
# One order
---
from giftlib import Journal, connect, place_order, poll_order_until_complete
client, journal = connect(), Journal()
poll_order_until_complete(place_order("{PRODUCT}", "type_001", 2, journal=journal), journal=journal)
"""
    write_notebook(tmp_path / "1_order.ipynb", cells, parameters=None)
    out = tmp_path / "out"
    with Sandbox(latency_s=0, fulfilment_s=0) as vendor:
        monkeypatch.setenv("ONECLICKDZ_API_KEY", vendor.api_key)
        monkeypatch.setenv("ONECLICKDZ_BASE_URL", vendor.url)
        assert main(["report", "--notebooks", str(tmp_path), "--out", str(out)]) == 0
    description = "Emulator: measured on an emulator; not the vendor's figures."
    assert description in unescape(head_of(out))
    [source] = read_recorded(out / "journal.sqlite").sources
    assert (source.description, len(source.orders)) == (description, 1)


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    """Two of three notebooks with options, reported where the log of a journal that is gone was left."""
    notebooks = tmp_path_factory.mktemp("chosen")
    write_notebook(notebooks / "1_batch.ipynb", PLACE)
    slow = PLACE.replace("seed=seed", "seed=seed, fulfilment_s=70, test_type_price=1")
    write_notebook(notebooks / "2_slow.ipynb", slow, parameters="seed = 4\nn_orders = 2")
    write_notebook(notebooks / "3_left.ipynb", "# Left out\n---\nraise RuntimeError")
    (notebooks / "settings.json").write_text('{"fulfilment_s": 31.5}')
    out = notebooks / "out"
    out.mkdir()
    with Journal(notebooks / "live.sqlite") as journal:
        journal.watch(ORDER_ID)
        shutil.copy(notebooks / "live.sqlite-wal", out / "journal.sqlite-wal")
    options = ["--only", "2,1", "--param", "n_orders=5", "--param", "seed=77"]
    options += ["--settings", str(notebooks / "settings.json")]
    assert main(["report", "--notebooks", str(notebooks), "--out", str(out), *options]) == 0
    return out


def test_options(chosen):
    """Parameters and settings reach the notebooks that have them, and are shown."""
    shown = re.sub(r"<[^>]+>", "", page_of(chosen))
    assert shown.count("n_orders = 5\nseed = 77") == 2
    assert "fulfilment_s = 31.5" in head_of(chosen)
    orders = pd.read_csv(chosen / "orders.csv")
    assert len(orders) == 10
    # The same seed gives both emulators the same ids.
    assert not orders["order_id"].is_unique and not orders.duplicated(["source", "order_id"]).any()
    for each, fulfilment_s in ((orders[:5], 31.5), (orders[5:], 70)):
        assert ((each["not_done_by_s"] < fulfilment_s) & (each["done_by_s"] >= fulfilment_s)).all()
    manifest = manifest_of(chosen)
    assert manifest["parameters"] == {"n_orders": 5, "seed": 77}
    for notebook in manifest["notebooks"]:
        assert notebook["seed"] == 77
        assert notebook["parameters"] == {"n_orders": 5, "seed": 77}
    usual, slow = (notebook["settings"] for notebook in manifest["notebooks"])
    assert (usual, slow) == ({"fulfilment_s": 31.5}, {"fulfilment_s": 70, "test_type_price": 1})


def test_other_settings(chosen):
    """Orders of an emulator with other settings are not included in the figures at the head."""
    usual, slow = re.sub(r"\s+", " ", page_of(chosen)).split(OTHERS)
    assert "2&nbsp;FULFILLED, 1&nbsp;PARTIALLY_FILLED, 2&nbsp;REFUNDED" in usual and "4,900 DA" in usual
    assert re.search(r"Emulator: [^<]*fulfilment_s = 31.5\. Notebooks: 1\.", usual)
    assert re.match(r"5 orders, 3,922 DA charged, 10 DA refunded\. [^<]*fulfilment_s = 70[^<]* Notebooks: 2\.", slow)


def test_after_kill(chosen):
    """A report takes nothing from the log of a journal that is gone, and leaves nothing beside its own."""
    assert not (chosen / "journal.sqlite-wal").exists()
    assert not list(chosen.parent.glob("giftlib-report*"))
    with Journal(chosen / "journal.sqlite") as journal:
        assert len(journal.orders()) == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "9"], "there is no notebook 9, only 1"),
        (["--only", "first"], "--only: must be numbers with commas between them"),
        (["--param", "n_orders"], "--param: must be a parameter's name, =, and its value, got 'n_orders'"),
        (["--param", "=5"], "--param: must be a parameter's name, =, and its value, got '=5'"),
        (["--param", "n_orders=many"], "n_orders must be a number, as in 1_batch.ipynb, got 'many'"),
        (["--param", "interval_s=5"], "no parameter interval_s in 1_batch.ipynb: only n_orders, seed"),
        (["--logo", "missing.png"], "--logo: must be a file, got 'missing.png'"),
        (["--logo", __file__], "test_build.py cannot be shown: it is no SVG, PNG, JPEG, GIF or WebP"),
        (["--settings", "missing.json"], "--settings: must be a file, got 'missing.json'"),
        (["--settings", __file__], "is no settings file"),
        (["--out", __file__], "--out: must be a folder"),
        (["--out", f"{__file__}/below"], "--out: must be a folder"),
        (["--journal", "missing.sqlite"], "--journal: must be a file, got 'missing.sqlite'"),
        (["--journal", __file__, "--param", "seed=1"], "--journal: "),
        (["--require", "median<5 parsecs"], "require must be median or a percentile such as p95 with a time, as in "),
        (["--require", "refunds=maybe"], "got 'refunds=maybe'"),
        (["--transactions", __file__], "--transactions: goes with --journal"),
        (["--bogus"], "--bogus"),
    ],
    ids=" ".join,
)
def test_wrong_argument(folder, tmp_path, capsys, options, message):
    """A wrong argument is reported in one line."""
    where = [] if "--journal" in options else ["--notebooks", str(folder)]
    with pytest.raises(SystemExit) as ended:
        main(["report", *where, "--out", str(tmp_path / "out"), *options])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_no_parameters(tmp_path, capsys):
    """A notebook without parameters is named."""
    write_notebook(tmp_path / "1_weekly.ipynb", parameters=None)
    with pytest.raises(SystemExit):
        main(["report", "--notebooks", str(tmp_path), "--out", str(tmp_path / "out"), "--param", "n_orders=5"])
    assert "no parameter n_orders in 1_weekly.ipynb: no cell is tagged 'parameters'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ("assert False", "cell 4: AssertionError"),
        ("raise ValueError('first line\\nlast line')", "cell 4: ValueError: last line"),
        ("del journal", "cell 5: NameError: name 'journal' is not defined"),
    ],
)
def test_failing_cell(tmp_path, capfd, last, message):
    """A cell that fails is named in one line, and nothing is written."""
    write_notebook(tmp_path / "2_bad.ipynb", f"# Bad\n---\njournal = []\n---\n{last}", parameters="seed = 1")
    options = ["--out", str(tmp_path / "out"), "--param", "seed=2"]
    assert main(["report", "--notebooks", str(tmp_path), *options]) == 1
    assert capfd.readouterr().err == f"giftlib: 2_bad.ipynb, {message}\n"
    assert not (tmp_path / "out").exists()


def test_no_notebooks(tmp_path, capsys):
    """A folder without notebooks is reported in one line, with where they come from."""
    with pytest.raises(SystemExit) as ended:
        main(["report", "--notebooks", str(tmp_path)])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f"giftlib report: error: no numbered notebooks in {tmp_path}: giftlib's own are in its repository, not in the "
        "installed package; run this in a checkout or pass --notebooks DIR\n"
    )


def test_order(tmp_path):
    """Notebooks are read in the order of their numbers."""
    for name in ("10_last", "2_second", "1_first", "notes"):
        (tmp_path / f"{name}.ipynb").touch()
    assert [path.stem for path in find_notebooks(tmp_path)] == ["1_first", "2_second", "10_last"]
    assert [path.stem for path in find_notebooks(tmp_path, [10, 1])] == ["1_first", "10_last"]


def test_missing_package(monkeypatch):
    """A package that is missing is named with the line that installs it."""
    for name in ("giftlib.report.build", "giftlib.report.section"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mistune", None)
    with pytest.raises(GiftlibError, match=r'the report needs mistune: pip install "giftlib\[notebooks\]"'):
        giftlib.report.write_report  # noqa: B018
