"""An emulator of the gift-card API: real HTTP on loopback, time and chance under control."""

from .faults import Fault
from .server import Sandbox
from .settings import Settings

__all__ = ["Fault", "Sandbox", "Settings"]
