"""A read is tried again where that may help, after the wait that the API asks for."""

import pytest
from samples import DAY

from giftlib.api import ApiError, NoAnswerError, OrderOutcomeUnknownError, is_retryable, retry_delay, retry_read
from giftlib.clock import SimulatedClock


def api_error(status, retry_after=None):
    return ApiError("m", status=status, code="C", retry_after=retry_after)


@pytest.mark.parametrize("status", [200, 408, 425, 429, 500, 502, 503, 504])
def test_passing_status(status):
    """Time-outs, rate limits and errors of the server may pass."""
    assert is_retryable(api_error(status))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 422])
def test_lasting_status(status):
    """Any other 4xx lasts."""
    assert not is_retryable(api_error(status))


def test_missing_response():
    """A read without a response may succeed later."""
    assert is_retryable(NoAnswerError("m"))


@pytest.mark.parametrize(("requested", "waited"), [(None, 0), (0, 0), (8, 8), (60, 60), (3600, 60)])
def test_retry_delay(requested, waited):
    """The wait that the API asks for is kept, up to a minute."""
    assert retry_delay(api_error(429, requested)) == waited


def test_delay_without_error():
    """No error, and an error without Retry-After, ask for no wait."""
    assert retry_delay(None) == retry_delay(NoAnswerError("m")) == 0


class Reads:
    """Raise these errors one after another, then return "read"; `times` says when it was called."""

    def __init__(self, *errors):
        self.clock = SimulatedClock()
        self.errors = list(errors)
        self.times = []

    def __call__(self):
        self.times.append(self.clock.monotonic())
        if self.errors:
            raise self.errors.pop(0)
        return "read"


def test_pauses_between_tries():
    """Tries are 5 s apart, or as long as Retry-After asks for."""
    reads = Reads(NoAnswerError("m"), api_error(503, 20), api_error(429, 1), api_error(429, 3600))
    assert retry_read(reads, reads.clock, tries=5) == "read"
    assert reads.times == [0, 5, 25, 30, 90]


def test_first_try_succeeds():
    """A read that succeeds is not repeated, and takes no time."""
    reads = Reads()
    assert retry_read(reads, reads.clock, tries=5) == "read"
    assert reads.times == [0]


@pytest.mark.parametrize("tries", [1, 3])
def test_error_of_last_try(tries):
    """When the tries run out, the last error is raised, without a pause after it."""
    failures = [api_error(500 + number) for number in range(tries)]
    reads = Reads(*failures)
    with pytest.raises(ApiError) as caught:
        retry_read(reads, reads.clock, tries)
    assert caught.value is failures[-1]
    assert reads.times == [5 * number for number in range(tries)]


def test_lasting_error():
    """An error that lasts is raised after one try."""
    reads = Reads(api_error(404))
    with pytest.raises(ApiError):
        retry_read(reads, reads.clock, tries=5)
    assert reads.times == [0]


@pytest.mark.parametrize("error", [OrderOutcomeUnknownError("p", "t", 1, DAY, DAY), ValueError("m")])
def test_other_error(error):
    """Only errors of a read are tried again."""
    reads = Reads(error)
    with pytest.raises(type(error)):
        retry_read(reads, reads.clock, tries=5)
    assert reads.times == [0]
