"""A client that openapi-python-client makes of the description places, checks, lists and reads an error."""

import importlib
import subprocess
import sys

import pytest
from samples import PRODUCT

from giftlib.sandbox import Sandbox


@pytest.fixture
def generated(tmp_path, monkeypatch):
    """A sandbox whose orders are final at once, and the package that was generated from its description."""
    with Sandbox(latency_s=0, fulfilment_s=0) as sandbox:
        command = [sys.executable, "-m", "openapi_python_client", "generate", "--url", f"{sandbox.url}/openapi.json"]
        command += ["--output-path", str(tmp_path / "client"), "--meta", "none"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield sandbox, lambda name: importlib.import_module(f"client{name}")


def test_generated_client(generated):
    """Orders, cards and errors are read into the types of the description."""
    sandbox, module = generated
    models, api = module(".models"), lambda name: module(f".api.default.{name}")
    body = models.PlaceOrderBody(product_id=PRODUCT, type_id="TEST_PARTIAL", quantity=4)
    options = {"base_url": sandbox.url, "token": sandbox.api_key, "prefix": "", "auth_header_name": "X-Access-Token"}
    with module("").AuthenticatedClient(**options) as client:
        order_id = api("place_order").sync(client=client, body=body).data.order_id
        checked = api("check_order").sync(order_id, client=client).data
        [listed] = api("list_").sync(client=client).data.items
        error = api("check_order").sync("0" * 24, client=client)
    assert isinstance(checked, models.Order) and isinstance(listed, models.Order)
    assert checked.status == models.OrderStatus.PARTIALLY_FILLED == listed.status
    assert [card.value for card in checked.cards] == ["SANDBOX-CARD-1", "SANDBOX-CARD-2"]
    assert isinstance(error, models.Error) and error.error.code == "NOT_FOUND"
