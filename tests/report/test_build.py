import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys

import nbformat
import pandas as pd
import pytest

from giftlib import Journal, process_orders
from giftlib.cli import main
from giftlib.report.build import choose_notebooks, find_notebooks
from giftlib.sandbox import Sandbox

PRODUCT = "507f1f77bcf86cd799439011"
PARAMETERS = "seed = 9\nn_orders = 3"
CELLS = """
# A small batch

Each bar is an outcome.
---
from giftlib import Journal, connect, process_orders, plot_refund_totals
client, journal = connect(seed=seed), Journal()
kinds = ["type_001", "TEST_REFUND", "TEST_PARTIAL"]
process_orders([("507f1f77bcf86cd799439011", kinds[i % 3], 4) for i in range(n_orders)], journal=journal)
---
import numpy
numpy.mean([])
---
%config InlineBackend.figure_formats = ["svg"]
figure = plot_refund_totals(journal.orders()).figure
---
journal.orders()[["type_id", "status", "polls"]]
"""
MAKE = [sys.executable, "-m", "giftlib", "report"]


def write_notebook(path, cells=CELLS, parameters=PARAMETERS):
    prose, *code = cells.strip().split("\n---\n")
    first = [] if parameters is None else [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    nbformat.write(
        nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_markdown_cell(prose), *first, *map(nbformat.v4.new_code_cell, code)]
        ),
        path,
    )


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
    outs = []
    for name, zone, locale, seed in (("here", "Asia/Tokyo", "C", "1"), ("there", "America/Lima", "C.UTF-8", "2")):
        home = tmp_path_factory.mktemp(name)
        startup = home / ".ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        kernel = home / ".local" / "share" / "jupyter" / "kernels" / "python3"
        kernel.mkdir(parents=True)
        (kernel / "kernel.json").write_text('{"argv": ["false"], "display_name": "Mine", "language": "python"}')
        (startup / "greet.py").write_text(f"import matplotlib; matplotlib.rcParams['font.size'] = {len(name)}")
        outs.append(home / "report")
        subprocess.run(
            [*renamed_host(name), *MAKE, "--notebooks", str(folder), "--out", str(outs[-1])],
            env={**os.environ, "TZ": zone, "LC_ALL": locale, "PYTHONHASHSEED": seed, "HOSTNAME": name, "USER": name,
                 "LOGNAME": name, "HOME": str(home), "JUPYTER_PREFER_ENV_PATH": "0",
                 **({"MPLBACKEND": "agg", "PYTHONWARNINGS": "default"} if name == "here" else {})},
            check=True,
            capture_output=True,
        )  # fmt: skip
    return outs


@pytest.fixture(scope="module")
def rebuilt(reports, tmp_path_factory):
    """The report made again from the first one's journal, with a key for a host that nobody can reach."""
    out = tmp_path_factory.mktemp("rebuilt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONECLICKDZ_API_KEY", "some-key")
        patch.setenv("ONECLICKDZ_BASE_URL", "http://127.0.0.1:9")
        assert main(["report", "--journal", str(reports[0] / "journal.sqlite"), "--out", str(out)]) == 0
    return out


def files_of(out):
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def page_of(out):
    return (out / "index.html").read_text(encoding="utf-8")


def head_of(out):
    page = page_of(out)
    return re.sub(r"\s+", " ", page[page.index("<header") : page.index("<nav")])


def test_the_report_is_one_page_with_its_data_beside_it(reports):
    assert sorted(files_of(reports[0])) == [
        "figures/1_batch-1.svg", "index.html", "journal.sqlite", "manifest.json", "orders.csv", "polls.csv",
    ]  # fmt: skip


def test_two_people_on_two_machines_write_the_same_bytes_but_for_the_provenance(reports):
    first, second = map(files_of, reports)
    provenance = []
    for files in (first, second):
        manifest = json.loads(files["manifest.json"])
        provenance.append(manifest.pop("provenance"))
        files["manifest.json"] = manifest
    assert first == second
    if renamed_host("any"):
        assert [made["host"] for made in provenance] == ["here", "there"]


def test_the_page_holds_nothing_of_the_provenance(reports):
    page, provenance = page_of(reports[0]), json.loads((reports[0] / "manifest.json").read_text())["provenance"]
    for value in (provenance["made_at"], provenance["platform"], f"v{provenance['packages']['matplotlib']}"):
        assert value not in page


def test_a_warning_does_not_tell_where_python_lies(reports):
    page = page_of(reports[0])
    assert "RuntimeWarning: Mean of empty slice" in page
    assert sys.prefix not in page


def test_the_page_needs_no_network(reports):
    page = page_of(reports[0])
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    assert not re.findall(r"@import|url\(", page)
    assert "default-src 'none'; img-src data:" in page
    assert len(page) < 3_000_000


def test_no_two_things_on_the_page_have_one_id(reports):
    ids = re.findall(r'\bid="([^"]+)"', page_of(reports[0]))
    assert "1_batch" in ids
    assert len(ids) == len(set(ids))


def test_the_head_tells_environment_outcomes_times_and_money(reports):
    head = head_of(reports[0])
    assert "Emulator: " in head
    assert "1 FULFILLED, 1 PARTIALLY_FILLED, 1 REFUNDED" in head
    assert "2,940 DA" in head  # 4 and 2 cards of 490 dinars charged, 4 and 2 refunded
    assert "charged for 6 of 12 cards" in head
    assert re.search(r"[\d.]+ s", head)


def test_the_figures_are_in_the_page_in_words_too(reports):
    assert '<img alt="Each bar is an outcome." src="data:image/svg+xml' in page_of(reports[0])


def test_the_frames_are_beside_it_exactly(reports):
    orders, polls = (pd.read_csv(reports[0] / name, dtype=str) for name in ("orders.csv", "polls.csv"))
    assert orders["refunded_amount"].tolist() == ["0", "1960", "980"]
    assert set(polls["order_id"]) == set(orders["order_id"])


def test_the_manifest_tells_what_was_run_and_what_came_of_it(reports, folder):
    manifest = json.loads((reports[0] / "manifest.json").read_text())
    [notebook] = manifest["notebooks"]
    assert (notebook["name"], notebook["environment"], notebook["seed"]) == ("1_batch.ipynb", "emulator", 9)
    assert notebook["parameters"] == {"seed": 9, "n_orders": 3}
    assert notebook["sha256"] == hashlib.sha256((folder / "1_batch.ipynb").read_bytes()).hexdigest()
    assert {"made_at", "host", "platform", "python", "packages"} <= set(manifest["provenance"])
    assert manifest["source"]["version"]
    files = {name: content for name, content in files_of(reports[0]).items() if name != "manifest.json"}
    assert manifest["files"] == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def test_no_code_no_serial_and_no_key_is_in_it(reports, rebuilt):
    with Sandbox(9) as sandbox:
        key = sandbox.api_key.encode()
    for content in (*files_of(reports[0]).values(), *files_of(rebuilt).values()):
        assert key not in content
        assert not re.search(rb"SANDBOX-(CARD-)?\d", content)


def test_a_journal_gives_the_same_figures_again(reports, rebuilt):
    before, after = head_of(reports[0]), head_of(rebuilt)
    tiles = slice(before.index('<div class="tiles">'), None)
    assert before[tiles] == after[after.index('<div class="tiles">') :]
    for name in ("orders.csv", "polls.csv", "journal.sqlite"):
        assert (rebuilt / name).read_bytes() == (reports[0] / name).read_bytes()


def test_a_report_of_a_journal_says_so_and_where_that_was_recorded(reports, rebuilt):
    digest = hashlib.sha256((reports[0] / "journal.sqlite").read_bytes()).hexdigest()
    assert re.search(rf"Journal: [^<]*{digest[:12]}.*Emulator: ", head_of(rebuilt))
    assert json.loads((rebuilt / "manifest.json").read_text())["journal"]["sha256"] == digest


def test_the_report_of_a_journal_has_figures_told_in_words(rebuilt):
    alternatives = re.findall(r'<img alt="([^"]*)"', page_of(rebuilt))
    assert len(alternatives) == 3
    assert all(len(words) > 40 and "Figure size" not in words for words in alternatives)


def test_a_journal_in_the_reports_own_folder_stays_as_it_is(reports, tmp_path):
    copy = shutil.copytree(reports[0], tmp_path / "report")
    before = (copy / "journal.sqlite").read_bytes()
    assert main(["report", "--journal", str(copy / "journal.sqlite"), "--out", str(copy)]) == 0
    assert (copy / "journal.sqlite").read_bytes() == before
    files = {name for name in files_of(copy) if name != "manifest.json"}
    assert files == set(json.loads((copy / "manifest.json").read_text())["files"])  # nothing is left of the first


def test_a_journal_that_grew_since_is_counted_whole(reports, tmp_path):
    copy = tmp_path / "grown.sqlite"
    shutil.copy(reports[0] / "journal.sqlite", copy)
    journal = Journal(copy)
    bought(journal)
    journal.close()
    assert main(["report", "--journal", str(copy), "--out", str(tmp_path / "out")]) == 0
    first, later = head_of(tmp_path / "out").split("Counted apart: ")
    assert "<b>3</b>" in first and re.match("1 orders, .* the journal does not tell", later)


def test_a_report_takes_nothing_from_one_that_was_cut_off_there(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    script = f"""
import os
from giftlib import Journal
journal = Journal({str(out / "journal.sqlite")!r})
journal.watch("6901616fe9e88196b4eb64b3")
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    assert (out / "journal.sqlite-wal").exists()
    assert main(["report", "--notebooks", str(folder), "--out", str(out)]) == 0
    journal = Journal(out / "journal.sqlite")
    assert len(journal.orders()) == 3
    journal.close()


def damaged(path, *statements):
    journal = Journal(path)
    bought(journal)
    journal.close()
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    "statements",
    [
        ["ALTER TABLE polls RENAME TO looks"],
        ["UPDATE orders SET fulfilled_amount = 'abc'"],
        ["CREATE TABLE report (other TEXT)", "INSERT INTO report VALUES ('x')"],
        *(
            ["CREATE TABLE report (note TEXT)", f"INSERT INTO report VALUES ('{note}')"]
            for note in ("nonsense", "[1]", '"text"', '{"a": 1}', '[{"environment": "vendor", "orders": 1}]',
                         '[{"environment": "emulator", "name": "1.ipynb", "orders": 7}]')
        ),
    ],
)  # fmt: skip
def test_a_damaged_journal_is_told_in_one_line(tmp_path, capsys, statements):
    path = tmp_path / "own.sqlite"
    damaged(path, *statements)
    assert main(["report", "--journal", str(path), "--out", str(tmp_path / "out")]) == 1
    assert re.fullmatch(rf"giftlib: {path} is .+\n", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def bought(journal):
    with Sandbox(1, fulfilment_s=20, latency_s=0) as sandbox:
        process_orders([(PRODUCT, "type_001", 2)], journal=journal, client=sandbox.client())


def open_still(journal):
    with Sandbox(1, fulfilment_s=400, latency_s=0) as sandbox, pytest.warns(UserWarning, match="still being processed"):
        process_orders([(PRODUCT, "type_001", 2)], journal=journal, client=sandbox.client())


@pytest.mark.parametrize("happened", [bought, open_still, lambda journal: journal.watch("6901616fe9e88196b4eb64b3")])
def test_any_journal_with_an_order_can_be_reported(tmp_path, happened):
    journal = Journal(tmp_path / "own.sqlite")
    happened(journal)
    journal.close()
    assert main(["report", "--journal", str(tmp_path / "own.sqlite"), "--out", str(tmp_path / "out")]) == 0
    assert "Where these orders were placed, the journal does not tell." in head_of(tmp_path / "out")


def test_a_run_against_a_vendor_is_recorded(tmp_path, monkeypatch):
    cells = f"""
# One order
---
from giftlib import Journal, connect, place_order, poll_order_until_complete
client, journal = connect(), Journal()
poll_order_until_complete(place_order("{PRODUCT}", "type_001", 2, journal=journal), journal=journal)
"""
    write_notebook(tmp_path / "1_order.ipynb", cells, parameters=None)
    with Sandbox(latency_s=0, fulfilment_s=0) as vendor:
        monkeypatch.setenv("ONECLICKDZ_API_KEY", vendor.api_key)
        monkeypatch.setenv("ONECLICKDZ_BASE_URL", vendor.url)
        assert main(["report", "--notebooks", str(tmp_path), "--out", str(tmp_path / "run")]) == 0
    assert f"Vendor sandbox: measured on the API at {vendor.url} with a sandbox key" in head_of(tmp_path / "run")
    journal = str(tmp_path / "run" / "journal.sqlite")
    assert main(["report", "--journal", journal, "--out", str(tmp_path / "again")]) == 0
    assert re.search(rf"Journal: .*Vendor sandbox: measured on the API at {vendor.url}", head_of(tmp_path / "again"))
    assert (tmp_path / "again" / "orders.csv").read_bytes() == (tmp_path / "run" / "orders.csv").read_bytes()


def test_parameters_and_settings_reach_the_notebooks_that_have_them_and_are_told(folder, tmp_path):
    shutil.copy(folder / "1_batch.ipynb", tmp_path / "1_batch.ipynb")
    write_notebook(tmp_path / "2_same.ipynb", parameters="seed = 4\nn_orders = 2")
    write_notebook(tmp_path / "3_left.ipynb", "# Left out\n---\nraise RuntimeError")
    (tmp_path / "settings.json").write_text('{"fulfilment_s": 31.5}')
    options = ["--only", "2,1", "--orders", "5", "--seed", "77", "--settings", str(tmp_path / "settings.json")]
    assert main(["report", "--notebooks", str(tmp_path), "--out", str(tmp_path / "out"), *options]) == 0
    shown = re.sub(r"<[^>]+>", "", page_of(tmp_path / "out"))
    assert shown.count("n_orders = 5\nseed = 77") == 2
    assert "fulfilment_s = 31.5" in head_of(tmp_path / "out")
    orders = pd.read_csv(tmp_path / "out" / "orders.csv")
    assert len(orders) == 10
    assert orders["order_id"].is_unique  # though one seed gives both emulators the same ids
    assert ((orders["not_done_by_s"] < 31.5) & (orders["done_by_s"] >= 31.5)).all()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["parameters"] == {"n_orders": 5, "seed": 77}
    for notebook in manifest["notebooks"]:
        assert (notebook["seed"], notebook["settings"]) == (77, {"fulfilment_s": 31.5})
        assert notebook["parameters"] == {"n_orders": 5, "seed": 77}


def test_orders_of_an_emulator_that_was_set_otherwise_are_counted_apart(folder, tmp_path):
    shutil.copy(folder / "1_batch.ipynb", tmp_path / "1_batch.ipynb")
    shutil.copy(folder / "1_batch.ipynb", tmp_path / "3_batch.ipynb")
    write_notebook(
        tmp_path / "2_slow.ipynb", CELLS.replace("seed=seed", "seed=seed, fulfilment_s=70, test_type_price=1")
    )
    assert main(["report", "--notebooks", str(tmp_path), "--out", str(tmp_path / "run")]) == 0
    journal = str(tmp_path / "run" / "journal.sqlite")
    assert main(["report", "--journal", journal, "--out", str(tmp_path / "again")]) == 0
    for out in (tmp_path / "run", tmp_path / "again"):
        usual, slow = head_of(out).split("Counted apart: ")
        assert "2 FULFILLED, 2 PARTIALLY_FILLED, 2 REFUNDED" in usual and "5,880 DA" in usual
        assert re.search(r"Emulator: [^<]* Notebooks: 1, 3\.", head_of(out))
        assert re.match(r"3 orders, 1,962 DA charged, 6 DA refunded\. [^<]*fulfilment_s = 70[^<]* Notebooks: 2\.", slow)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--only", "9"], "there is no notebook 9, only 1"),
        (["--only", "first"], "--only: must be numbers with commas between them"),
        (["--orders", "0"], "--orders: must be a whole number from 1 up, got '0'"),
        (["--orders", "many"], "--orders: must be a whole number from 1 up, got 'many'"),
        (["--seed", "x"], "--seed: "),
        (["--interval", "-1"], "--interval: must be a number of seconds above 0"),
        (["--interval", "nan"], "--interval: must be a number of seconds above 0"),
        (["--interval", "5"], "no parameter interval_s in 1_batch, only n_orders, seed"),
        (["--settings", "missing.json"], "--settings: must be a file, got 'missing.json'"),
        (["--settings", __file__], "is no settings file"),
        (["--out", __file__], "--out: must be a folder"),
        (["--out", f"{__file__}/below"], "--out: must be a folder"),
        (["--journal", "missing.sqlite"], "--journal: must be a file, got 'missing.sqlite'"),
        (["--journal", __file__, "--seed", "1"], "--journal: "),
        (["--bogus"], "--bogus"),
    ],
    ids=" ".join,
)
def test_a_wrong_argument_is_told_in_one_line(folder, tmp_path, capsys, options, told):
    where = [] if "--journal" in options else ["--notebooks", str(folder)]
    with pytest.raises(SystemExit) as ended:
        main(["report", *where, "--out", str(tmp_path / "out"), *options])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ("assert False", "cell 4: AssertionError"),
        ("raise ValueError('first line\\nlast line')", "cell 4: ValueError: last line"),
        ("import os; os._exit(1)", "cell 4: its kernel died"),
        ("del journal", "cell 5: NameError: name 'journal' is not defined"),
    ],
)
def test_a_cell_that_fails_is_named_in_one_line_and_nothing_is_written(tmp_path, capfd, last, told):
    write_notebook(tmp_path / "2_bad.ipynb", f"# Bad\n---\njournal = []\n---\n{last}", parameters="seed = 1")
    assert main(["report", "--notebooks", str(tmp_path), "--out", str(tmp_path / "out"), "--seed", "2"]) == 1
    assert capfd.readouterr().err == f"giftlib: 2_bad.ipynb, {told}\n"
    assert not (tmp_path / "out").exists()


def test_a_folder_without_notebooks_is_told_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["report", "--notebooks", str(tmp_path)])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"giftlib report: error: no numbered notebooks in {tmp_path}\n"


@pytest.mark.parametrize("content", [None, b"no journal " * 1000], ids=["no order", "no journal"])
def test_a_journal_that_cannot_be_reported_is_told_in_one_line(tmp_path, capsys, content):
    path = tmp_path / "own.sqlite"
    Journal(path).close() if content is None else path.write_bytes(content)
    assert main(["report", "--journal", str(path), "--out", str(tmp_path / "out")]) == 1
    assert re.fullmatch(r"giftlib: .+\n", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_notebooks_are_read_in_the_order_of_their_numbers(tmp_path):
    for name in ("10_last", "2_second", "1_first", "notes"):
        (tmp_path / f"{name}.ipynb").touch()
    notebooks = find_notebooks(tmp_path)
    assert [path.stem for path in notebooks] == ["1_first", "2_second", "10_last"]
    assert [path.stem for path in choose_notebooks(notebooks, [10, 1])] == ["1_first", "10_last"]
