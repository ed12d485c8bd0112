"""How many connections and channels one side of a pool has, and who gets the next channel.

No input, no output, no clock: it is told what happened and when, and says in `actions` what to do.
"""

from itertools import count, islice
from math import ceil, inf
from operator import attrgetter

from hopmq.resilience.pool.allowance import ChannelAllowance
from hopmq.resilience.pool.books import Books
from hopmq.resilience.pool.entries import (
    Action,
    ChannelEntry,
    ChannelSettings,
    ChannelStage,
    CloseChannel,
    Connect,
    ConnectionEntry,
    ConnectionStage,
    Disconnect,
    Lend,
    OpenChannel,
    Wanted,
)
from hopmq.resilience.pool.limits import PoolLimits


class Sizing:
    """Decides for one side of a pool.

    Who waits is served in order. Two kinds of waiters hold up nobody behind them: those who need
    a channel of a certain connection, and publishers, who share theirs.

    Attributes:
        actions: What is to be done now, in order; taken and emptied by the owner.
        books: What there is.
    """

    def __init__(
        self, limits: PoolLimits, allowance: ChannelAllowance, *, spread: bool = False
    ) -> None:
        """Start empty; new channels go to the emptiest connection if `spread`, or the fullest."""
        self.actions: list[Action] = []
        self.books: Books = Books(limits, spread=spread)
        self._limits = limits
        self._allowance = allowance
        self._line: dict[int, Wanted] = {}
        self._special: dict[int, Wanted] = {}
        self._tickets = count(1)
        self._numbers = count(1)
        self._failures = 0
        self._retry_at = -inf
        self._is_in_use = False
        self._is_stopped = False
        # Each connection has one more channel, for declaring and binding.
        allowance.count(lambda: len(self.books.channels) + len(self.books.connections))

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line) + len(self._special)

    def next_deadline(self) -> float:
        """Return when `handle_time` is due."""
        retry_at = self._retry_at if self._failures and self._missing() else inf
        # Idle channels are listed in the order in which they came back.
        idle = next((channel.idle_since for channel in self.books.idle()), inf)
        unused = min((entry.idle_since for entry in self.books.surplus()), default=inf)
        return min(retry_at, min(idle, unused) + self._limits.max_idle)

    # --- who wants channels ------------------------------------------------------------------

    def begin(self, now: float) -> None:
        """Keep the minimum of connections from now on."""
        self._is_in_use = True
        self._settle(now)

    def ask(self, settings: ChannelSettings, now: float, *, connection: int | None = None) -> int:
        """Join the line; return the ticket that `Lend` will bear."""
        wanted = Wanted(ticket=next(self._tickets), settings=settings, connection=connection)
        self._enqueue(wanted)
        self.begin(now)
        return wanted.ticket

    def could_grow(self, settings: ChannelSettings, now: float) -> bool:
        """Return whether one more channel could be had without anybody's loss."""
        if self.waiting or not self._allowance.has_room():
            return False
        if self.books.roomy(settings, None) is not None:
            return True
        may_connect = len(self.books.connections) < self._limits.max_connections
        return may_connect and now >= self._retry_at

    def withdraw(self, ticket: int, now: float) -> None:
        """Leave the line; a channel that is being opened for the ticket serves somebody else."""
        self._line.pop(ticket, None)
        self._special.pop(ticket, None)
        for entry in self.books.channels.values():
            if entry.wanted is not None and entry.wanted.ticket == ticket:
                entry.wanted = None
        self._settle(now)

    def give_back(self, channel: int, now: float, *, clean: bool) -> None:
        """Return a lent channel; one that is not as it was lent is closed."""
        entry = self.books.channels.get(channel)
        if entry is None or entry.stage is not ChannelStage.LENT:
            return
        if not clean or self._is_stopped:
            self._close(entry)
        else:
            self._available(entry, now)
        self._settle(now)

    def was_dead(self, channel: int, now: float) -> None:
        """Take back a channel that was not open when it was lent: its borrower waits on."""
        entry = self.books.channels[channel]
        self._close(entry)
        assert entry.borrower is not None
        self._enqueue(entry.borrower)
        self._settle(now)

    def hold(self, connection: int) -> None:
        """Keep a connection though it has no channel."""
        if connection in self.books.connections:
            self.books.connections[connection].is_held = True

    def refuse_all(self) -> list[int]:
        """Empty the line; return the tickets of all who wait, also for what is being opened."""
        tickets = [*self._line, *self._special]
        self._line.clear()
        self._special.clear()
        for entry in self.books.channels.values():
            if entry.wanted is not None:
                tickets.append(entry.wanted.ticket)
                entry.wanted = None
        return tickets

    def stop(self) -> list[int]:
        """Lend nothing and start nothing any more; return the tickets of all who wait."""
        self._is_stopped = True
        return self.refuse_all()

    # --- what became of actions --------------------------------------------------------------

    def connected(self, connection: int, capacity: int, now: float) -> None:
        """Take note of an open connection that may have `capacity` channels."""
        self._failures = 0
        self._retry_at = -inf
        entry = self.books.connections[connection]
        entry.stage = ConnectionStage.OPEN
        entry.nominal = min(capacity, self._limits.channels_per_connection)
        entry.capacity = entry.nominal
        entry.idle_since = now
        self._settle(now)

    def not_connected(self, connection: int, retry_at: float, now: float) -> None:
        """Take note of an attempt that failed; the next is due at `retry_at`."""
        self.books.remove_connection(connection)
        self._failures += 1
        self._retry_at = retry_at
        self._settle(now)

    def disconnected(self, connection: int, now: float) -> None:
        """Take note that a connection has ended, and with it all its channels."""
        entry = self.books.remove_connection(connection)
        if entry is None:
            return
        waiting = [channel.wanted for channel in entry.channels.values() if channel.wanted]
        pinned = [each for each in self._special.values() if each.connection == connection]
        for wanted in [*waiting, *pinned]:
            self._special.pop(wanted.ticket, None)
            elsewhere = wanted.connection if wanted.connection != connection else None
            self._enqueue(
                Wanted(ticket=wanted.ticket, settings=wanted.settings, connection=elsewhere)
            )
        self._settle(now)

    def recovering(self, connection: int, now: float) -> None:
        """Take note that a connection has lost its link and seeks another."""
        self._change(connection, ConnectionStage.OPEN, ConnectionStage.AWAY, now)

    def recovered(self, connection: int, now: float) -> None:
        """Take note that it has found one."""
        self._change(connection, ConnectionStage.AWAY, ConnectionStage.OPEN, now)

    def opened(self, channel: int, now: float) -> None:
        """Take note of an open channel."""
        entry = self.books.channels.get(channel)
        if entry is None:
            return
        if self._is_stopped:
            self._close(entry)
        else:
            self._available(entry, now)
        self._settle(now)

    def not_opened(self, channel: int, now: float, *, again: bool) -> Wanted | None:
        """Take note that a channel could not be opened; return for whom it would have been.

        With `again`, that one waits on in its old place.
        """
        entry = self.books.remove(channel, now)
        wanted = None if entry is None else entry.wanted
        if again and wanted is not None:
            self._enqueue(wanted)
        self._settle(now)
        return wanted

    def no_number_free(self, channel: int, now: float) -> Wanted | None:
        """Take note that a connection has no number left for a channel.

        Returns:
            For whom it would have been, if no other channel of ours could make room for it.
        """
        entry = self.books.channels.get(channel)
        if entry is None:
            return None
        connection = self.books.connections[entry.connection]
        others = len(connection.channels) - 1
        refused = self.not_opened(channel, now, again=False)
        connection.capacity = others or connection.nominal
        if refused is None or not others:
            return refused
        self._enqueue(refused)
        self._settle(now)
        return None

    def closed(self, channel: int, now: float) -> None:
        """Take note that a channel is gone."""
        self.books.remove(channel, now)
        self._settle(now)

    def handle_time(self, now: float) -> None:
        """Close what has been idle for too long, and try again what has failed."""
        max_idle = self._limits.max_idle
        self._close(*(each for each in self.books.idle() if each.idle_since + max_idle <= now))
        for entry in self.books.surplus():
            if entry.idle_since + max_idle <= now:
                entry.stage = ConnectionStage.CLOSING
                self.actions.append(Disconnect(entry.number))
        self._settle(now)

    # --- the line ----------------------------------------------------------------------------

    def _enqueue(self, wanted: Wanted) -> None:
        """Let somebody wait, in the place that the ticket says."""
        line = self._special if wanted.is_special else self._line
        comes_back = bool(line) and wanted.ticket < next(reversed(line))
        line[wanted.ticket] = wanted
        if comes_back:
            in_order = sorted(line.items())
            line.clear()
            line.update(in_order)

    def _settle(self, now: float) -> None:
        """Serve whom there is something for, and see to more where there is not."""
        if self._is_stopped:
            return
        if self._line or self._special:
            for special in list(self._special.values()):
                self._serve_line(before=special.ticket)
                if self._serve(special):
                    del self._special[special.ticket]
            self._serve_line(before=inf)
            self._make_room()
        if now >= self._retry_at:
            for _ in range(self._missing()):
                number = next(self._numbers)
                self.books.connections[number] = ConnectionEntry(number=number)
                self.actions.append(Connect(number))

    def _serve_line(self, before: float) -> None:
        while self._line:
            first = next(iter(self._line.values()))
            if first.ticket >= before or not self._serve(first):
                return
            del self._line[first.ticket]

    def _serve(self, wanted: Wanted) -> bool:
        idle = self.books.interchangeable(wanted.settings, wanted.connection)
        if idle is not None:
            self._lend(idle, wanted)
            return True
        if not self._allowance.has_room():
            return False
        connection = self.books.roomy(wanted.settings, wanted.connection)
        if connection is None:
            return False
        entry = ChannelEntry(
            number=next(self._numbers),
            connection=connection.number,
            settings=wanted.settings,
            wanted=wanted,
        )
        self.books.add(entry)
        self.actions.append(OpenChannel(entry.number, connection.number, wanted.settings))
        return True

    def _available(self, entry: ChannelEntry, now: float) -> None:
        """Lend a channel to whoever has waited for longest, or keep it."""
        own, entry.wanted = entry.wanted, None
        first = self._first_claim(entry, own)
        if first is None:
            entry.idle_since = now
            self.books.move(entry, ChannelStage.IDLE)
            return
        if first is not own:
            self._step_back(first, own)
        self._lend(entry, first)

    def _first_claim(self, entry: ChannelEntry, own: Wanted | None) -> Wanted | None:
        """Return who comes first of those that `entry` would serve."""
        is_away = self.books.connections[entry.connection].stage is ConnectionStage.AWAY
        if is_away and own is None:
            return None
        # What comes back is for the first in line; what was opened for somebody does not pass by
        # those of the same wish, wherever they stand.
        line = self._line.values() if own is not None else islice(self._line.values(), 1)
        opening = [other.wanted for other in self.books.channels.values() if other.wanted]
        claims = [*opening, *line, *self._special.values(), *([own] if own else [])]
        claims = [wanted for wanted in claims if wanted.accepts(entry)]
        return min(claims, key=attrgetter("ticket"), default=None)

    def _step_back(self, first: Wanted, own: Wanted | None) -> None:
        """Give the place of `first`, who is served, to `own`, whose channel that was."""
        self._line.pop(first.ticket, None)
        self._special.pop(first.ticket, None)
        for other in self.books.channels.values():
            if other.wanted is first:
                exchanged = own if own is not None and own.accepts(other) else None
                other.wanted = exchanged
                own = None if exchanged is not None else own
        if own is not None:
            self._enqueue(own)

    def _lend(self, entry: ChannelEntry, wanted: Wanted) -> None:
        self.books.move(entry, ChannelStage.LENT)
        entry.borrower = wanted
        self.actions.append(Lend(wanted.ticket, entry.number))

    # --- growing and shrinking ---------------------------------------------------------------

    def _make_room(self) -> None:
        """Close idle channels, which are of other settings, for those who wait."""
        for wanted in self._special.values():
            connection = self.books.connections.get(wanted.connection or 0)
            if connection is not None and not connection.is_changing():
                own = [idle for idle in self.books.idle() if idle.connection == connection.number]
                self._close(*own[:1])
        lacking = len(self._line) - self.books.unclaimed()
        if self.books.takes_shared():
            lacking += sum(wanted.settings.shared for wanted in self._special.values())
        if lacking > 0:
            self._close(*islice(self.books.idle(), lacking))

    def _missing(self) -> int:
        """Return how many more connections are wanted and allowed."""
        if not self._is_in_use or self._is_stopped:
            return 0
        connecting = self.books.count(ConnectionStage.CONNECTING)
        if self._failures and connecting:
            return 0  # one attempt at a time shows whether the broker is back
        total = len(self.books.connections)
        alive = total - self.books.count(ConnectionStage.CLOSING)
        wanted = max(self._limits.min_connections - alive, self._wanted_by_waiters(connecting))
        missing = min(wanted, self._limits.max_connections - total)
        return max(0, min(missing, 1) if self._failures else missing)

    def _wanted_by_waiters(self, connecting: int) -> int:
        if not self._line and not self._special:
            return 0
        lacking = len(self._line) - self.books.unclaimed()
        lacking += sum(wanted.connection is None for wanted in self._special.values())
        if lacking <= 0 or not self._allowance.has_room():
            return 0
        lacking -= sum(
            entry.capacity - len(entry.channels)
            for entry in self.books.connections.values()
            if entry.stage is ConnectionStage.AWAY
        )
        return ceil(lacking / self._limits.channels_per_connection) - connecting

    def _change(
        self, connection: int, before: ConnectionStage, after: ConnectionStage, now: float
    ) -> None:
        entry = self.books.connections.get(connection)
        if entry is not None and entry.stage is before:
            entry.stage = after
            self._settle(now)

    def _close(self, *entries: ChannelEntry) -> None:
        for entry in entries:
            self.books.move(entry, ChannelStage.CLOSING)
            self.actions.append(CloseChannel(entry.number))
