"""Choose the API: the vendor's with a key in the environment, the embedded emulator without."""

import os
import re
from difflib import get_close_matches
from functools import partial
from inspect import signature
from typing import Any

from giftlib.api import DEFAULT_BASE_URL, Client, check_type, did_you_mean
from giftlib.clock import Clock

_KEY = "ONECLICKDZ_API_KEY"
_current: Client | None = None
_environment: dict[str, Any] = {}


def connect(
    *,
    seed: int = 0,
    clock: Clock | None = None,
    request_timeout: float = 15.0,
    allow_production: bool = False,
    **sandbox_settings: Any,
) -> Client:
    """Return a client for the API; its key is checked once.

    With `ONECLICKDZ_API_KEY` in the environment: the vendor's API on the system clock, at `ONECLICKDZ_BASE_URL` if
    that is not blank; `seed` and all settings then have no effect. Without both: an emulator of its own
    (`giftlib.sandbox`) with that seed, on a simulated clock, that is closed with the client (`with connect() as ...`).
    Its settings are `sandbox_settings`, over those of `settings=Settings(...)`, or else of the file that
    `GIFTLIB_SANDBOX_SETTINGS` names, if that is not blank.

    Functions that take `client=None` use the client that was returned last, and raise ValueError once that was closed
    with its emulator. Raise AuthenticationError for a bad key, ValueError for a file that holds no settings, for an
    address without a key, and for a misspelt variable, TypeError for an argument that neither `connect` nor `Sandbox`
    has, and for a key or address as an argument: they are taken from the environment alone.

    >>> from giftlib import connect
    >>> connect(seed=1, fulfilment_s=2).key_type
    'SANDBOX'
    """
    global _current, _environment
    if unknown := _unknown(list(sandbox_settings)):
        sandbox_settings.clear()  # no traceback shows a key
        raise TypeError(unknown)
    described: dict[str, Any]
    connected = partial(Client, request_timeout=request_timeout, allow_production=allow_production)
    if os.environ.get(_KEY, "").strip():
        url = os.environ.get("ONECLICKDZ_BASE_URL", "").strip() or DEFAULT_BASE_URL
        # The key is in no variable here, which a traceback would show.
        client = connected(os.environ[_KEY].strip(), url, clock=clock)
        described = {"base_url": url, "settings": None}
    else:
        _check_variables()
        from giftlib.sandbox import Sandbox, Settings  # the emulator and its web server are not needed with a key

        path = os.environ.get("GIFTLIB_SANDBOX_SETTINGS", "").strip()
        if (settings := sandbox_settings.get("settings")) is not None:
            check_type("settings", settings, Settings)
        elif path:
            sandbox_settings["settings"] = Settings.read(path)
        sandbox = Sandbox(seed, clock, **sandbox_settings)
        client = connected(sandbox.api_key, sandbox.url, clock=sandbox.clock)
        client.made_for = sandbox.where
        client.closing(sandbox.close)
        described = {"seed": seed, "settings": sandbox.settings.to_json()}
    client.validate()
    _current, _environment = client, {"environment": client.source.kind, **described, "key_type": client.key_type}
    return client


def _unknown(names: list[str]) -> str:
    """Say what is wrong with the first of these names that no argument has; empty if each is one."""
    if not names:
        return ""
    from giftlib.sandbox import Sandbox, Settings

    known = {name for takes in (connect, Sandbox, Settings) for name in signature(takes).parameters}
    known -= {"sandbox_settings", "changes", "api_key"}
    for name in names:
        if name not in known and re.search("key|token|secret|auth|pass|url", name, re.IGNORECASE):
            return (
                f"connect takes no {name}: set {_KEY} (and ONECLICKDZ_BASE_URL) in the environment, where no notebook "
                f"shows it, or pass client=Client(api_key, base_url) to the functions that you call"
            )
        if name not in known:
            own = "seed, clock, request_timeout, allow_production, and what Sandbox takes but the key"
            return f"connect takes no {name}{did_you_mean(name, known)}; it takes {own}"
    return ""


def _check_variables() -> None:
    """Raise ValueError where someone meant to use the vendor's API: with an address, or a variable spelt otherwise."""
    names = [name for name, value in os.environ.items() if value.strip() and name[:1] in "Oo"]
    meant = [name for name in names if name.upper().startswith("ONECLICKDZ_")]
    meant += get_close_matches(_KEY, names, cutoff=0.8)
    for name in meant:
        raise ValueError(f"{name} is set but {_KEY} is not: set the key, or unset {name} to use the emulator")


def environment() -> dict[str, Any]:
    """Describe, for a manifest, what `connect()` connected to last; empty before the first call."""
    return _environment


def current_client(client: Client | None = None) -> Client:
    """Return the client given, or else the one that `connect()` returned last, or that of a first `connect()`."""
    if client is not None:
        return check_type("client", client, Client)
    if _current is not None and _current.made_for and _current.is_closed:
        raise ValueError("the client of connect() is closed, its emulator too: call connect() again, or pass client=")
    return _current or connect()
