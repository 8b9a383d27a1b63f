"""Notebooks run under pytest in the environment in which their outputs were made."""

import os
from collections.abc import Iterator

import pytest

from giftlib.report.notebooks import ENVIRONMENT


def pytest_configure(config: pytest.Config) -> None:
    os.environ.update(ENVIRONMENT)
    for name in ("ONECLICKDZ_API_KEY", "ONECLICKDZ_BASE_URL"):
        os.environ.pop(name, None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if failed := getattr(item.parent, "failed_cell", None):
        pytest.skip(f"{failed} failed before")


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None] | None:
    if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
        item.parent.failed_cell = item.name
    return None
