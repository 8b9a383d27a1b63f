"""What an API does, found by asking it politely: settings for the emulator, each with its evidence.

The findings come from the wire alone; of the emulator only the names, kinds and defaults of settings are known here.
"""

from .calibrate import Calibration, calibrate

__all__ = ["Calibration", "calibrate"]
