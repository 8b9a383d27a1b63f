from pathlib import Path

import pytest

import giftlib

ROOT = Path(__file__).parents[1]
SHOWN = "".join(
    path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("notebooks/*.ipynb")]
)


def test_the_public_names_are_sorted_and_exist():
    assert giftlib.__all__ == sorted(giftlib.__all__)
    assert all(hasattr(giftlib, name) for name in giftlib.__all__)


@pytest.mark.parametrize("name", giftlib.__all__)
def test_a_public_name_says_what_it_promises(name):
    assert getattr(giftlib, name).__doc__


@pytest.mark.parametrize("name", giftlib.__all__)
def test_a_public_name_is_shown_to_users(name):
    assert name in SHOWN
