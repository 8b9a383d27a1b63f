"""Find out how an API behaves, with few and well-spaced requests: settings for the emulator, each with its evidence.

Everything is found from the API's responses; of the emulator only the names, types, accepted values and defaults of
its settings are used. Read `run` first (the steps, and what is returned), then `session` (which all steps use),
`probes` (single requests), `samples` (orders placed to see what becomes of them, and what they cost) and `durations`
(how long they take).
"""

from .run import Calibration, calibrate

__all__ = ["Calibration", "calibrate"]
