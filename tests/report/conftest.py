"""What tests of the report share."""

import nbformat
import pytest


@pytest.fixture
def cells_not_run(monkeypatch):
    """A journal's notebook is on the page as it is: starting a kernel takes longer than all else that is tested."""
    monkeypatch.setattr("giftlib.report.build.run_notebook", lambda path, folder: nbformat.read(path, 4))
