"""An emulator of the gift-card API: real HTTP on loopback, time and chance under control."""

from .faults import MIXED, Fault, at_rate
from .sandbox import Sandbox
from .settings import Settings

__all__ = ["MIXED", "Fault", "Sandbox", "Settings", "at_rate"]
