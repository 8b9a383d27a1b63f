"""Choose the API: the vendor's with a key in the environment, the embedded emulator without."""

import os
from difflib import get_close_matches
from functools import partial
from typing import Any

from giftlib.api import DEFAULT_BASE_URL, Client, check_type
from giftlib.clock import Clock

_KEY = "ONECLICKDZ_API_KEY"
_IN_THE_ENVIRONMENT = {"api_key", "apikey", "key", "token", "base_url", "url"}
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
    Its settings are `sandbox_settings`, over those of the file that `GIFTLIB_SANDBOX_SETTINGS` names, if that is not
    blank.

    Functions that take `client=None` use the client that was returned last. Raise AuthenticationError for a bad key,
    ValueError for a file that holds no settings, for an address without a key, and for a misspelt variable, TypeError
    for a key or address as an argument: they are taken from the environment alone.

    >>> from giftlib import connect
    >>> connect(seed=1, fulfilment_s=2).key_type
    'SANDBOX'
    """
    global _current, _environment
    for name in sandbox_settings:
        if name.lower() in _IN_THE_ENVIRONMENT:
            sandbox_settings.clear()  # no traceback shows a key
            raise TypeError(
                f"connect takes no {name}: set {_KEY} (and ONECLICKDZ_BASE_URL) in the environment, where no notebook "
                f"shows it, or pass client=Client(api_key, base_url) to the functions that you call"
            )
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
        sandbox = Sandbox(seed, clock, settings=Settings.read(path) if path else None, **sandbox_settings)
        client = connected(sandbox.api_key, sandbox.url, clock=sandbox.clock)
        client.made_for = sandbox.where
        client.closing(sandbox.close)
        described = {"seed": seed, "settings": sandbox.settings.to_json()}
    client.validate()
    _current, _environment = client, {"environment": client.source.kind, **described, "key_type": client.key_type}
    return client


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
    return _current or connect() if client is None else check_type("client", client, Client)
