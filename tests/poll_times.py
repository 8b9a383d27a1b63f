"""The times at which a schedule polls."""

from giftlib.schedules import PollTime


def polls_of(schedule, count, latency=0.0):
    """The times of the first polls in seconds, if each response takes `latency`."""
    now, polls = 0.0, []
    for _ in range(count):
        now += schedule(now, polls)
        polls.append(PollTime(now, now + latency))
        now += latency
    return [poll.sent for poll in polls]
