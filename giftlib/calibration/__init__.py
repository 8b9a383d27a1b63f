"""Find out how an API behaves, with few and well-spaced requests: settings for the emulator, each with its evidence.

Everything is found from the API's responses; of the emulator only the names, types and defaults of its settings are
used. Read `run` first (the course, and what is returned), then `probes` (single requests), `samples` (orders
placed to see what becomes of them), `durations` and `money` (what they show), `findings` and `session` (what all use).
"""

from .run import Calibration, calibrate

__all__ = ["Calibration", "calibrate"]
