"""What an error shows when it is logged: for tests that no secret is in it."""

import pickle
import traceback

from samples import CODE, KEY, SERIAL


def everything_shown(error):
    """What an error and its chain say, with the local variables of every frame of giftlib."""
    seen, queue = [], [error]
    while queue:
        link = queue.pop()
        if link is None or link in seen:
            continue
        seen.append(link)
        assert type(link).__module__ in ("giftlib.api.errors", "builtins"), f"{type(link)} hangs on the error"
        yield from (repr(link), str(link), repr(link.args), repr(vars(link)), repr(pickle.dumps(link)))
        for frame in traceback.TracebackException.from_exception(link, capture_locals=True).stack:
            if "giftlib" in frame.filename and "test_" not in frame.filename:
                yield repr(frame.locals)
        queue += [link.__cause__, link.__context__]


def secrets_in(text):
    """The secrets that stand in a text, in capitals or small letters, with hyphens or underscores."""
    text = text.upper().replace("-", "_")
    return [secret for secret in (KEY, CODE, SERIAL) if secret.upper().replace("-", "_") in text]


def secrets_shown(error):
    """The secrets that an error and its chain show."""
    return [secret for text in everything_shown(error) for secret in secrets_in(text)]
