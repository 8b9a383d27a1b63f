"""No test speaks to the vendor, whatever key the environment holds."""

import os

import matplotlib
from hypothesis import settings

for name in ("ONECLICKDZ_API_KEY", "ONECLICKDZ_BASE_URL"):
    os.environ.pop(name, None)
matplotlib.use("Agg")
settings.register_profile("giftlib", deadline=None)
settings.load_profile("giftlib")
