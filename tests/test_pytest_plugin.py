"""The fixtures that giftlib offers to other projects' tests."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from thorough import tries

TESTS = """
import pytest
import requests
from giftlib import SimulatedClock
from giftlib.sandbox import Settings

pytestmark = pytest.mark.gift_card_sandbox(partial_rounding="up")

@pytest.mark.parametrize("number", range(NUMBER))
def test_fresh(gift_card_sandbox, gift_card_client, number):
    assert gift_card_sandbox.truth() == {} and len(gift_card_client.list_orders()) == 0
    gift_card_client.place_order("p", f"type_{number}", 1)
    assert len(gift_card_sandbox.truth()) == 1
    gift_card_sandbox.assert_requested("POST", "/v3/gift-cards/placeOrder", times=1, body={"typeId": f"type_{number}"})

@pytest.mark.gift_card_sandbox(fulfilment_s=5, test_type_price=700)
def test_marker(gift_card_sandbox):
    assert gift_card_sandbox.settings.fulfilment_s == 5 and gift_card_sandbox.settings.partial_rounding == "up"

@pytest.mark.parametrize("gift_card_sandbox", [{"fulfilment_s": 9}], indirect=True)
def test_parameter(gift_card_sandbox):
    assert gift_card_sandbox.settings.fulfilment_s == 9 and isinstance(gift_card_sandbox.clock, SimulatedClock)
    assert gift_card_sandbox.settings.latency_s == 0

@pytest.mark.gift_card_sandbox(fulfilment_s=5, test_type_price=700)
@pytest.mark.parametrize("_", [pytest.param(0, marks=pytest.mark.gift_card_sandbox(fulfilment_s=8))])
def test_closest_marker(gift_card_sandbox, _):
    assert gift_card_sandbox.settings.fulfilment_s == 8 and gift_card_sandbox.settings.test_type_price == 700

@pytest.mark.gift_card_sandbox(settings=Settings.of(fulfilment_s=22, rate_limit_per_minute=30))
def test_settings(gift_card_sandbox):
    changes = {"fulfilment_s": 22, "rate_limit_per_minute": 30, "partial_rounding": "up"}
    assert gift_card_sandbox.settings.changes() == changes

@pytest.mark.gift_card_sandbox(fulfilment_median_s=22, rate_limit_per_minute=2)
def test_other_setting_of_that(gift_card_sandbox):
    assert gift_card_sandbox.settings.fulfilment_s is None and gift_card_sandbox.settings.rate_limit_per_minute == 2
    assert gift_card_sandbox.settings.latency_s == 0

def test_no_rate_limit(gift_card_sandbox):
    address, key = f"{gift_card_sandbox.url}/v3/account/balance", {"X-Access-Token": gift_card_sandbox.api_key}
    with requests.Session() as session:
        assert {session.get(address, headers=key, timeout=5).status_code for _ in range(70)} == {200}
"""

WRONG = """
import pytest

@pytest.mark.gift_card_sandbox({"partial_rounding": "up"})
def test_marker(gift_card_sandbox):
    pass

@pytest.mark.parametrize("gift_card_sandbox", [None, "up"], indirect=True)
def test_parameter(gift_card_sandbox):
    pass
"""


OTHERS = ("nbval", "mpl", "hypothesispytest", "schemathesis", "sybil", "cacheprovider")
PYTEST = [sys.executable, "-m", "pytest", "-q", *(f"-pno:{name}" for name in OTHERS)]
"""As in a project that has giftlib and xdist: the plugins that are here besides take seconds to load."""


@pytest.mark.parametrize(("workers", "tests"), [(0, 5), (tries(2, 4), tries(40, 200))])
def test_fixtures(tmp_path, workers, tests):
    """Each test has an emulator of its own, with the settings of its markers and parameters, under xdist too."""
    (tmp_path / "test_shop.py").write_text(TESTS.replace("NUMBER", str(tests)))
    done = subprocess.run(
        [*PYTEST, "-W", "error", "--strict-markers", f"--numprocesses={workers}", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert f"{tests + 6} passed" in done.stdout


def test_wrong_arguments(tmp_path):
    """Settings without their names are refused in one line that says how to give them."""
    (tmp_path / "test_shop.py").write_text(WRONG)
    done = subprocess.run(
        [*PYTEST, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert "3 errors" in done.stdout and "pytest_plugin.py" not in done.stdout
    for got in ("{'partial_rounding': 'up'}", "None", "'up'"):
        assert f"gift_card_sandbox takes names and values, as a parameter in a dict; got {got}\n" in done.stdout


def test_no_load(tmp_path):
    """A project whose tests use no fixture of giftlib loads neither its server nor pandas."""
    (tmp_path / "test_other.py").write_text(
        "import sys\ndef test_modules():\n    assert not {'tornado', 'pandas', 'giftlib.sandbox'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [*PYTEST, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout
    assert Path(tmp_path / "test_other.py").exists()


EMULATOR_PAGE = (Path(__file__).parents[1] / "docs" / "emulator.md").read_text(encoding="utf-8")
SHOP = """
import types
import requests

def buy(type_id, quantity, url, key):
    headers, body = {"X-Access-Token": key}, {"productId": "p", "typeId": type_id, "quantity": quantity}
    placed = requests.post(f"{url}/v3/gift-cards/placeOrder", json=body, headers=headers, timeout=5).json()
    order = requests.get(f"{url}/v3/gift-cards/checkOrder/{placed['data']['orderId']}", headers=headers, timeout=5)
    order = order.json()["data"]
    return types.SimpleNamespace(refunded=(quantity - order["fulfilled_quantity"]) * order["price_per_card"])

shop = types.SimpleNamespace(buy=buy)
"""


def test_documented_pytest(tmp_path):
    """The documented test of a shop runs as it stands."""
    [sample] = [block for block in re.findall("```python\n(.*?)```", EMULATOR_PAGE, re.S) if "shop.buy" in block]
    (tmp_path / "test_shop.py").write_text(SHOP + sample)
    done = subprocess.run(
        [*PYTEST, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_documented_node(tmp_path):
    """The documented test in Node, with the emulator as a child process, runs as it stands."""
    [sample] = re.findall("```js\n(.*?)```", EMULATOR_PAGE, re.S)
    (tmp_path / "shop.test.mjs").write_text(sample)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["node", "--test", str(tmp_path / "shop.test.mjs")]
    done = subprocess.run(
        command, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout
