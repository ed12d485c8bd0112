"""A pool's sizing, step by step: what it asks for, and when."""

from hopmq.resilience.pool.allowance import ChannelAllowance
from hopmq.resilience.pool.entries import (
    Action,
    ChannelSettings,
    CloseChannel,
    Connect,
    Disconnect,
    Lend,
    OpenChannel,
)
from hopmq.resilience.pool.limits import PoolLimits
from hopmq.resilience.pool.sizing import Sizing

PLAIN = ChannelSettings(prefetch=100)
OTHER = ChannelSettings(prefetch=1)
SHARED = ChannelSettings(shared=True)


def sizing(*, spread: bool = False, allowed: int | None = None, **bounds: float) -> Sizing:
    allowance = ChannelAllowance()
    allowance.limit = allowed
    return Sizing(PoolLimits(**bounds), allowance, spread=spread)  # type: ignore[arg-type]  # of several options


def actions(of: Sizing) -> list[Action]:
    taken, of.actions = of.actions, []
    return taken


def connected(of: Sizing, count: int = 1, capacity: int = 10) -> list[int]:
    """Open the connections that were asked for."""
    asked = [each.connection for each in actions(of) if isinstance(each, Connect)]
    assert len(asked) == count
    for connection in asked:
        of.connected(connection, capacity, 0.0)
    return asked


def opened(of: Sizing) -> list[int]:
    """Open the channels that were asked for; return on which connections."""
    asked = [each for each in actions(of) if isinstance(each, OpenChannel)]
    for each in asked:
        of.opened(each.channel, 0.0)
    return [each.connection for each in asked]


def lent(of: Sizing) -> list[tuple[int, int]]:
    """Return the tickets that were served, and by what."""
    return [(each.ticket, each.channel) for each in actions(of) if isinstance(each, Lend)]


def test_nothing_is_connected_before_somebody_asks() -> None:
    pool = sizing(min_connections=2)
    pool.handle_time(1000.0)
    assert actions(pool) == []
    pool.ask(PLAIN, 0.0)
    assert [type(each) for each in actions(pool)] == [Connect, Connect]


def test_as_many_connections_are_opened_as_the_line_needs() -> None:
    pool = sizing(max_connections=3, channels_per_connection=2)
    for _ in range(3):
        pool.ask(PLAIN, 0.0)
    assert len(actions(pool)) == 2
    for _ in range(10):
        pool.ask(PLAIN, 0.0)
    assert len(actions(pool)) == 1


def test_after_a_failure_one_attempt_at_a_time_is_made_and_not_before_its_time() -> None:
    pool = sizing(min_connections=3)
    pool.begin(0.0)
    first, second, third = (each.connection for each in actions(pool))  # type: ignore[union-attr]  # Connect
    pool.not_connected(first, 5.0, 0.0)
    pool.not_connected(second, 6.0, 0.0)
    assert pool.next_deadline() == float("inf")  # the third may show whether the broker is back
    pool.not_connected(third, 7.0, 0.0)
    assert pool.next_deadline() == 7.0
    pool.handle_time(6.9)
    assert actions(pool) == []
    pool.handle_time(7.0)
    (connect,) = actions(pool)
    assert isinstance(connect, Connect)
    pool.connected(connect.connection, 10, 7.0)
    assert [type(each) for each in actions(pool)] == [Connect, Connect]


def test_what_the_broker_allows_is_not_exceeded() -> None:
    pool = sizing(allowed=3)
    tickets = [pool.ask(PLAIN, 0.0) for _ in range(4)]
    connected(pool)
    assert len(opened(pool)) == 2  # and one is the connection's own
    (_, channel), _ = lent(pool)
    pool.give_back(channel, 0.0, clean=True)
    assert lent(pool) == [(tickets[2], channel)]
    pool.give_back(channel, 0.0, clean=False)
    assert actions(pool) == [CloseChannel(channel)]
    pool.closed(channel, 0.0)
    assert len(opened(pool)) == 1


def test_shared_channels_go_to_another_connection_when_one_has_its_fill() -> None:
    pool = sizing(max_connections=2, shared_per_connection=1)
    pool.ask(SHARED, 0.0)
    (first,) = connected(pool)
    assert opened(pool) == [first]
    assert pool.could_grow(SHARED, 0.0)
    pool.ask(SHARED, 0.0)
    (second,) = connected(pool)
    assert opened(pool) == [second]
    assert not pool.could_grow(SHARED, 0.0)
    assert pool.could_grow(PLAIN, 0.0)


def test_borrowers_do_not_wait_behind_a_shared_channel_that_has_no_room() -> None:
    pool = sizing(max_connections=1, shared_per_connection=1)
    pool.ask(SHARED, 0.0)
    connected(pool)
    opened(pool)
    pool.ask(SHARED, 0.0)
    pool.ask(PLAIN, 0.0)
    assert len(opened(pool)) == 1


def test_new_channels_fill_one_connection_or_are_spread() -> None:
    for spread, expected in ((False, [4]), (True, [2, 2])):
        pool = sizing(min_connections=2, spread=spread)
        pool.ask(PLAIN, 0.0)
        connected(pool, 2)
        places = opened(pool)
        for _ in range(3):
            pool.ask(PLAIN, 0.0)
            places += opened(pool)
        counts = sorted((places.count(each) for each in set(places)), reverse=True)
        assert counts == expected


def test_an_idle_channel_of_other_settings_makes_room() -> None:
    pool = sizing(max_connections=1, channels_per_connection=1)
    pool.ask(PLAIN, 0.0)
    connected(pool)
    opened(pool)
    ((_, channel),) = lent(pool)
    pool.give_back(channel, 0.0, clean=True)
    ticket = pool.ask(OTHER, 0.0)
    assert actions(pool) == [CloseChannel(channel)]
    pool.closed(channel, 0.0)
    opened(pool)
    assert [number for number, _ in lent(pool)] == [ticket]


def test_a_connection_that_recovers_lends_nothing_and_is_waited_for() -> None:
    pool = sizing(max_connections=2, channels_per_connection=2)
    pool.ask(PLAIN, 0.0)
    (connection,) = connected(pool)
    opened(pool)
    ((_, channel),) = lent(pool)
    pool.give_back(channel, 0.0, clean=True)
    pool.recovering(connection, 1.0)
    ticket = pool.ask(PLAIN, 1.0)
    assert actions(pool) == []
    pool.recovered(connection, 2.0)
    assert lent(pool) == [(ticket, channel)]


def test_whoever_waited_for_a_channel_that_died_comes_first_again() -> None:
    pool = sizing(max_connections=1, channels_per_connection=1)
    first = pool.ask(PLAIN, 0.0)
    (connection,) = connected(pool)
    second = pool.ask(PLAIN, 0.0)
    pool.disconnected(connection, 0.0)  # while the first one's channel was opened
    connected(pool)
    opened(pool)
    ((ticket, channel),) = lent(pool)
    assert ticket == first
    pool.was_dead(channel, 0.0)
    pool.closed(channel, 0.0)
    opened(pool)
    assert [number for number, _ in lent(pool)] == [first]
    assert second > first


def test_a_number_that_is_not_free_is_waited_for_as_long_as_others_may_free_it() -> None:
    pool = sizing(max_connections=1)
    first, second = pool.ask(PLAIN, 0.0), pool.ask(PLAIN, 0.0)
    connected(pool)
    one, other = (each.channel for each in actions(pool))  # type: ignore[union-attr]  # OpenChannel
    pool.opened(one, 0.0)
    assert pool.no_number_free(other, 0.0) is None
    assert lent(pool) == [(first, one)]
    pool.give_back(one, 0.0, clean=False)
    pool.closed(one, 0.0)
    (again,) = [each.channel for each in actions(pool) if isinstance(each, OpenChannel)]
    refused = pool.no_number_free(again, 0.0)  # nobody of ours has one to free
    assert refused is not None
    assert refused.ticket == second


def test_when_a_number_is_free_again_as_many_are_tried_as_before() -> None:
    pool = sizing(max_connections=1)
    for _ in range(3):
        pool.ask(PLAIN, 0.0)
    connected(pool)
    one, other, third = (each.channel for each in actions(pool) if isinstance(each, OpenChannel))
    pool.opened(one, 0.0)
    pool.opened(other, 0.0)
    assert pool.no_number_free(third, 0.0) is None
    pool.ask(PLAIN, 0.0)
    assert not [each for each in actions(pool) if isinstance(each, OpenChannel)]
    pool.give_back(one, 0.0, clean=False)
    pool.closed(one, 0.0)
    assert len(opened(pool)) == 2


def test_idle_channels_and_connections_are_closed_in_time() -> None:
    pool = sizing(min_connections=1, channels_per_connection=1, max_idle=10.0)
    pool.ask(PLAIN, 0.0)
    pool.ask(PLAIN, 0.0)
    connected(pool, 2)
    opened(pool)
    channels = [channel for _, channel in lent(pool)]
    for channel in channels:
        pool.give_back(channel, 5.0, clean=True)
    assert pool.next_deadline() == 15.0
    pool.handle_time(14.9)
    assert actions(pool) == []
    pool.handle_time(15.0)
    assert actions(pool) == [CloseChannel(channel) for channel in channels]
    for channel in channels:
        pool.closed(channel, 16.0)
    assert pool.next_deadline() == 26.0
    pool.handle_time(26.0)
    (closing,) = actions(pool)
    assert isinstance(closing, Disconnect)
    assert closing.connection == max(pool.books.connections)  # the youngest
    pool.disconnected(closing.connection, 26.0)
    assert pool.next_deadline() == float("inf")


def test_a_connection_that_is_held_stays() -> None:
    pool = sizing(min_connections=0, max_idle=10.0)
    pool.ask(PLAIN, 0.0)
    (connection,) = connected(pool)
    opened(pool)
    ((_, channel),) = lent(pool)
    pool.hold(connection)
    pool.give_back(channel, 0.0, clean=False)
    pool.closed(channel, 0.0)
    pool.handle_time(1000.0)
    assert not [each for each in actions(pool) if isinstance(each, Disconnect)]


def test_nothing_is_started_after_the_stop() -> None:
    pool = sizing(max_connections=1, channels_per_connection=1)
    served = pool.ask(PLAIN, 0.0)
    (connection,) = connected(pool)
    (opening,) = actions(pool)
    waiting = pool.ask(PLAIN, 0.0)
    assert sorted(pool.stop()) == [served, waiting]
    assert isinstance(opening, OpenChannel)
    pool.opened(opening.channel, 0.0)
    assert actions(pool) == [CloseChannel(opening.channel)]
    pool.disconnected(connection, 0.0)
    assert actions(pool) == []
    assert pool.next_deadline() == float("inf")
