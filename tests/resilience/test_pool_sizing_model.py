"""A pool's sizing under borrowers, brokers and time in any order."""

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hopmq.resilience.pool.allowance import ChannelAllowance
from hopmq.resilience.pool.entries import (
    Action,
    ChannelSettings,
    ChannelStage,
    CloseChannel,
    Connect,
    ConnectionStage,
    Disconnect,
    Lend,
    OpenChannel,
)
from hopmq.resilience.pool.limits import PoolLimits
from hopmq.resilience.pool.sizing import Sizing
from trials import trials

picks = st.integers(0, 2**16)
PLAIN = ChannelSettings(confirms=True, prefetch=100)
FAST = ChannelSettings(confirms=False, prefetch=100)
SHARED = ChannelSettings(confirms=True, shared=True)
MAX_IDLE = 60.0


@dataclass
class Waiter:
    settings: ChannelSettings
    connection: int | None


@dataclass
class World:
    """What is outside of the sizing: brokers that answer, and borrowers with channels."""

    connecting: list[int] = field(default_factory=list)
    connected: dict[int, set[int]] = field(default_factory=dict)
    disconnecting: list[int] = field(default_factory=list)
    opening: dict[int, OpenChannel] = field(default_factory=dict)
    opened: dict[int, OpenChannel] = field(default_factory=dict)
    closing: list[int] = field(default_factory=list)
    lent: dict[int, int] = field(default_factory=dict)
    waiting: dict[int, Waiter] = field(default_factory=dict)
    spoilt: set[int] = field(default_factory=set)


class SizingMachine(RuleBasedStateMachine):
    """Any order of events; the books never promise what is not there, and serve in order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.now = 0.0
        self.allowance = ChannelAllowance()
        self.held: set[int] = set()

    @initialize(
        min_connections=st.integers(0, 2),
        more=st.integers(0, 2),
        channels=st.integers(1, 4),
        shared=st.integers(1, 2),
        spread=st.booleans(),
    )
    def start(
        self, min_connections: int, more: int, channels: int, shared: int, spread: bool
    ) -> None:
        self.limits = PoolLimits(
            min_connections=min_connections,
            max_connections=max(1, min_connections + more),
            channels_per_connection=channels,
            shared_per_connection=shared,
            max_idle=MAX_IDLE,
        )
        self.sizing = Sizing(self.limits, self.allowance, spread=spread)

    # --- borrowers ---------------------------------------------------------------------------

    @rule(settings=st.sampled_from([PLAIN, PLAIN, FAST, SHARED]))
    def somebody_asks(self, settings: ChannelSettings) -> None:
        self.asks(settings, None)

    @precondition(lambda self: self.world.connected)
    @rule(pick=picks)
    def somebody_asks_for_a_certain_connection(self, pick: int) -> None:
        connections = list(self.world.connected)
        self.asks(PLAIN, connections[pick % len(connections)])

    def asks(self, settings: ChannelSettings, connection: int | None) -> None:
        ticket = self.sizing.ask(settings, self.now, connection=connection)
        assert ticket not in self.world.waiting
        self.world.waiting[ticket] = Waiter(settings, connection)
        self.act()

    @precondition(lambda self: self.world.waiting)
    @rule(pick=picks)
    def somebody_gives_up(self, pick: int) -> None:
        tickets = list(self.world.waiting)
        ticket = tickets[pick % len(tickets)]
        del self.world.waiting[ticket]
        self.sizing.withdraw(ticket, self.now)
        self.act()

    @precondition(lambda self: self.world.lent)
    @rule(pick=picks, clean=st.booleans())
    def somebody_returns_a_channel(self, pick: int, clean: bool) -> None:
        channels = list(self.world.lent)
        channel = channels[pick % len(channels)]
        del self.world.lent[channel]
        if not clean:
            self.world.spoilt.add(channel)
        self.sizing.give_back(channel, self.now, clean=clean)
        self.act()

    @precondition(lambda self: self.world.connected)
    @rule(pick=picks)
    def a_connection_is_to_be_kept(self, pick: int) -> None:
        connections = list(self.world.connected)
        connection = connections[pick % len(connections)]
        if connection not in self.world.disconnecting:
            self.sizing.hold(connection)
            self.held.add(connection)

    # --- brokers -----------------------------------------------------------------------------

    @precondition(lambda self: self.world.connecting)
    @rule(pick=picks, capacity=st.integers(1, 5))
    def a_connection_opens(self, pick: int, capacity: int) -> None:
        connection = self.world.connecting.pop(pick % len(self.world.connecting))
        self.world.connected[connection] = set()
        self.sizing.connected(connection, capacity, self.now)
        self.act()

    @precondition(lambda self: self.world.connecting)
    @rule(pick=picks, delay=st.floats(0, 100))
    def a_connection_fails(self, pick: int, delay: float) -> None:
        connection = self.world.connecting.pop(pick % len(self.world.connecting))
        self.sizing.not_connected(connection, self.now + delay, self.now)
        self.act()

    @precondition(lambda self: self.world.connected)
    @rule(pick=picks)
    def a_connection_ends(self, pick: int) -> None:
        connections = list(self.world.connected)
        connection = connections[pick % len(connections)]
        self.connection_is_gone(connection)

    @precondition(lambda self: self.world.disconnecting)
    @rule(pick=picks)
    def a_connection_has_been_closed(self, pick: int) -> None:
        self.connection_is_gone(self.world.disconnecting[pick % len(self.world.disconnecting)])

    def connection_is_gone(self, connection: int) -> None:
        for channel in self.world.connected.pop(connection):
            for place in (self.world.opening, self.world.opened, self.world.lent):
                place.pop(channel, None)
            if channel in self.world.closing:
                self.world.closing.remove(channel)
        if connection in self.world.disconnecting:
            self.world.disconnecting.remove(connection)
        for waiter in self.world.waiting.values():
            if waiter.connection == connection:
                waiter.connection = None
        self.sizing.disconnected(connection, self.now)
        self.act()

    @precondition(lambda self: self.world.connected)
    @rule(pick=picks)
    def a_connection_recovers(self, pick: int) -> None:
        connections = list(self.world.connected)
        connection = connections[pick % len(connections)]
        if self.stage(connection) is ConnectionStage.AWAY:
            self.sizing.recovered(connection, self.now)
        else:
            self.sizing.recovering(connection, self.now)
        self.act()

    @precondition(lambda self: self.world.opening)
    @rule(pick=picks)
    def a_channel_opens(self, pick: int) -> None:
        channel, asked = self.take(self.world.opening, pick)
        self.world.opened[channel] = asked
        self.sizing.opened(channel, self.now)
        self.act()

    @precondition(lambda self: self.world.opening)
    @rule(pick=picks, again=st.booleans())
    def a_channel_does_not_open(self, pick: int, again: bool) -> None:
        channel, asked = self.take(self.world.opening, pick)
        self.world.connected[asked.connection].discard(channel)
        wanted = self.sizing.not_opened(channel, self.now, again=again)
        if wanted is not None and not again:
            del self.world.waiting[wanted.ticket]
        self.act()

    @precondition(lambda self: self.world.opening)
    @rule(pick=picks)
    def no_channel_number_is_free(self, pick: int) -> None:
        channel, asked = self.take(self.world.opening, pick)
        self.world.connected[asked.connection].discard(channel)
        refused = self.sizing.no_number_free(channel, self.now)
        if refused is not None:
            del self.world.waiting[refused.ticket]
        self.act()

    @precondition(lambda self: self.world.closing)
    @rule(pick=picks)
    def a_channel_has_been_closed(self, pick: int) -> None:
        self.channel_is_closed(self.world.closing[pick % len(self.world.closing)])

    def channel_is_closed(self, channel: int) -> None:
        self.world.closing.remove(channel)
        for channels in self.world.connected.values():
            channels.discard(channel)
        self.sizing.closed(channel, self.now)
        self.act()

    def take(self, place: dict[int, OpenChannel], pick: int) -> tuple[int, OpenChannel]:
        channel = list(place)[pick % len(place)]
        return channel, place.pop(channel)

    # --- time --------------------------------------------------------------------------------

    @rule(seconds=st.floats(0, 2 * MAX_IDLE))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        if self.sizing.next_deadline() <= self.now:
            self.sizing.handle_time(self.now)
            self.act()

    # --- what is done ------------------------------------------------------------------------

    def act(self) -> None:
        actions, self.sizing.actions = self.sizing.actions, []
        for action in actions:
            self.do(action)

    def do(self, action: Action) -> None:
        world = self.world
        match action:
            case Connect(connection):
                world.connecting.append(connection)
            case Disconnect(connection):
                assert connection not in self.held
                assert not world.connected[connection], "closed with channels on it"
                world.disconnecting.append(connection)
            case OpenChannel(channel, connection, _):
                assert connection in world.connected
                assert connection not in world.disconnecting
                world.connected[connection].add(channel)
                world.opening[channel] = action
            case CloseChannel(channel):
                assert channel not in world.lent, "closed while it is lent"
                del world.opened[channel]
                world.closing.append(channel)
            case Lend(ticket, channel):
                self.lend(ticket, channel)

    def lend(self, ticket: int, channel: int) -> None:
        world = self.world
        waiter = world.waiting.pop(ticket)
        opened = world.opened[channel]
        assert channel not in world.lent, "lent twice"
        assert channel not in world.spoilt, "lent as somebody has left it"
        assert channel not in world.closing
        assert opened.settings == waiter.settings
        assert waiter.connection in {None, opened.connection}
        earlier = [
            other
            for number, other in world.waiting.items()
            if number < ticket
            and other.settings == waiter.settings
            and other.connection is None
            and waiter.connection is None
        ]
        assert not earlier, "lent out of order"
        world.lent[channel] = ticket

    # --- what always holds -------------------------------------------------------------------

    def stage(self, connection: int) -> ConnectionStage:
        return self.sizing.books.connections[connection].stage

    @invariant()
    def the_bounds_are_kept(self) -> None:
        books = self.sizing.books
        assert len(books.connections) <= self.limits.max_connections
        for entry in books.connections.values():
            assert len(entry.channels) <= self.limits.channels_per_connection
            assert entry.shared() <= self.limits.shared_per_connection

    @invariant()
    def the_books_know_what_there_is(self) -> None:
        books, world = self.sizing.books, self.world
        assert set(books.connections) == {*world.connecting, *world.connected}
        for connection, channels in world.connected.items():
            assert set(books.connections[connection].channels) == channels
        lent = {n for n, entry in books.channels.items() if entry.stage is ChannelStage.LENT}
        assert lent == set(world.lent)

    @invariant()
    def nobody_waits_for_what_is_there(self) -> None:
        books = self.sizing.books
        idle = list(books.idle())
        for ticket, waiter in self.world.waiting.items():
            if any(e.wanted and e.wanted.ticket == ticket for e in books.channels.values()):
                continue  # a channel is being opened for it
            assert not any(
                each.settings == waiter.settings and waiter.connection in {None, each.connection}
                for each in idle
            )
            assert books.roomy(waiter.settings, waiter.connection) is None

    @invariant()
    def there_is_always_something_to_wait_for(self) -> None:
        """Whoever waits is served in the end: something is under way, is due, or is lent."""
        world = self.world
        is_away = any(self.stage(each) is ConnectionStage.AWAY for each in world.connected)
        under_way = [
            *world.connecting,
            *world.opening,
            *world.closing,
            *world.disconnecting,
            *world.lent,
        ]
        if world.waiting and not under_way and not is_away:
            assert self.now <= self.sizing.next_deadline() < float("inf")

    def teardown(self) -> None:
        """When all is given back and time has gone by, the minimum is left."""
        if not hasattr(self, "sizing"):
            return
        for _ in range(200):
            self.come_to_rest()
            if self.sizing.next_deadline() == float("inf"):
                break
            self.now = max(self.now, self.sizing.next_deadline())
            self.sizing.handle_time(self.now)
            self.act()
        else:
            raise AssertionError("it never comes to rest")
        assert not self.world.waiting
        assert not self.sizing.books.channels
        wanted = self.limits.min_connections if self.sizing._is_in_use else 0
        held = len(self.held & self.world.connected.keys())
        assert max(wanted, held) <= len(self.world.connected) <= wanted + held

    def come_to_rest(self) -> None:
        world = self.world
        while True:
            for connection in list(world.connected):
                if self.stage(connection) is ConnectionStage.AWAY:
                    self.a_connection_recovers_at_last(connection)
            if world.connecting:
                self.world.connected[connection := world.connecting.pop()] = set()
                self.sizing.connected(connection, 5, self.now)
            elif world.opening:
                channel, asked = self.take(world.opening, 0)
                world.opened[channel] = asked
                self.sizing.opened(channel, self.now)
            elif world.lent:
                self.sizing.give_back(world.lent.popitem()[0], self.now, clean=True)
            elif world.closing:
                self.channel_is_closed(world.closing[0])
            elif world.disconnecting:
                self.connection_is_gone(world.disconnecting[0])
            else:
                return
            self.act()

    def a_connection_recovers_at_last(self, connection: int) -> None:
        self.sizing.recovered(connection, self.now)
        self.act()


TestSizing = SizingMachine.TestCase
TestSizing.settings = trials(100, steps=50)
