"""A descriptor that leads to a channel without a connection is looked at no longer: it would be readable for ever."""

import os

from kombu.transport.redis import MultiChannelPoller

from jobs.worker.other_consumers import _forget_lost


class Client:
    """Of Redis."""

    def __init__(self, connection: object) -> None:
        self.connection = connection


class Channel:
    """Of kombu, as far as it is looked at."""

    def __init__(self, connection: object) -> None:
        self.client = Client(connection)


def test_a_lost_channel_s_descriptor_is_forgotten_and_others_stay() -> None:
    cycle, ends = MultiChannelPoller(), []
    for connection in (None, object()):
        reads, writes = os.pipe()
        ends += [reads, writes]
        os.write(writes, b"x")
        cycle._fd_to_chan[reads] = (Channel(connection), "BRPOP")
        cycle.poller.register(reads, cycle.eventflags)
    lost, kept = ends[0], ends[2]
    assert {descriptor for descriptor, _ in cycle.poller.poll(0)} == {lost, kept}
    _forget_lost(cycle)
    assert set(cycle._fd_to_chan) == {kept}
    assert {descriptor for descriptor, _ in cycle.poller.poll(0)} == {kept}
    for descriptor in ends:
        os.close(descriptor)
