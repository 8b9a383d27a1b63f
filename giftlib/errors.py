"""The errors of giftlib, importable by a short name."""

from giftlib.api.errors import *  # noqa: F403
