"""The schedules of giftlib, importable by a short name."""

from giftlib.polling.schedules import *  # noqa: F403
