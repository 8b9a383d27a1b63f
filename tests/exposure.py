"""What an error shows when it is logged: for tests that no secret is in it."""

import pickle
import traceback
from pathlib import Path
from types import ModuleType

from _pytest._io.saferepr import saferepr
from samples import CODE, KEY, SERIAL

TESTS = str(Path(__file__).parent)
DEPTH = 6


def reachable(value, depth=DEPTH):
    """What an error tracker shows of a variable: its repr, its items and attributes, and theirs."""
    yield saferepr(value, maxsize=None)
    if depth == 0 or isinstance(value, str | bytes | int | float | type | ModuleType):
        return
    inner = [getattr(value, name, None) for cls in type(value).__mro__ for name in getattr(cls, "__slots__", ())]
    inner += getattr(value, "__dict__", {}).values()
    if isinstance(value, dict):
        inner += [*value, *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        inner += value
    for item in inner:
        yield from reachable(item, depth - 1)


def everything_shown(error):
    """What an error and its chain say, with the variables of every frame that is not of the tests."""
    seen, queue = [], [error]
    while queue:
        link = queue.pop()
        if link is None or link in seen:
            continue
        seen.append(link)
        assert type(link).__module__ in ("giftlib.api.errors", "builtins"), f"{type(link)} hangs on the error"
        yield from (repr(link), str(link), repr(link.args), repr(vars(link)), repr(pickle.dumps(link)))
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if not frame.f_code.co_filename.startswith(TESTS):
                yield from reachable(dict(frame.f_locals))
        queue += [link.__cause__, link.__context__]


def secrets_in(text):
    """The secrets that stand in a text, in capitals or small letters, with hyphens or underscores."""
    text = text.upper().replace("-", "_")
    return [secret for secret in (KEY, CODE, SERIAL) if secret.upper().replace("-", "_") in text]


def secrets_shown(error):
    """The secrets that an error and its chain show."""
    return [secret for text in everything_shown(error) for secret in secrets_in(text)]
