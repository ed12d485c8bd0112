"""The embedded broker: where it listens, how it starts and how it ends."""

import asyncio
import logging
import os
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

from hopmq.broker.access import ADMINISTRATOR, User
from hopmq.broker.clock import Clock, LoopClock
from hopmq.broker.definitions import export_definitions, load_definitions, read_definitions
from hopmq.broker.emulation import NEWEST, Emulation, Release, emulation_of
from hopmq.broker.interposer import Interposer
from hopmq.broker.introduction import default_users, server_properties
from hopmq.broker.login import EXTERNAL, MECHANISMS
from hopmq.broker.peer import Peer
from hopmq.broker.restart import come_back, end_connections, forget, go_away
from hopmq.broker.sockets import ListeningSockets
from hopmq.broker.state import BrokerState
from hopmq.core.settings import ServerSettings, Tuning
from hopmq.errors import UsageError
from hopmq.transport.memory import Listener, listen
from hopmq.wire.limits import DEFAULT_FRAME_MAX

if TYPE_CHECKING:
    from hopmq.broker.management import ManagementServer

logger: logging.Logger = logging.getLogger("hopmq.broker")

DEFAULT_MEMORY_LIMIT: Final = 512 * 1024 * 1024


class Broker:
    """An AMQP 0-9-1 broker in memory, in this process.

    It is for trying out, developing and testing: nothing is written to disk and there is one
    node. Any AMQP 0-9-1 client can connect to it.

    async with Broker() as broker:
        connection = await hopmq.connect(broker.url)
    """

    def __init__(
        self,
        *,
        host: str | None = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        tls_port: int = 0,
        path: str | os.PathLike[str] | None = None,
        name: str | None = None,
        emulate: Release = NEWEST,
        users: Iterable[User] | None = None,
        vhosts: Iterable[str] = ("/",),
        definitions: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        management_port: int | None = None,
        memory_limit: int = DEFAULT_MEMORY_LIMIT,
        max_message_size: int | None = None,
        heartbeat: int = 60,
        frame_max: int = DEFAULT_FRAME_MAX,
        channel_max: int = 2047,
        handshake_timeout: float = 10.0,
        silent_close_delay: float = 3.0,
        close_timeout: float = 30.0,
        consumer_timeout: float | None = 1800.0,
        clock: Clock | None = None,
    ) -> None:
        """Describe a broker; nothing listens yet.

        Args:
            host: Address to listen on; None for no TCP at all.
            port: TCP port; 0 picks a free one.
            tls: Context of a second listener, for TLS; its clients may log in by certificate.
            tls_port: TCP port for TLS; 0 picks a free one.
            path: A unix socket to listen on as well.
            name: Name under which `memory://name` reaches it within this event loop.
            emulate: Release of RabbitMQ whose behaviour counts where releases differ.
            users: Who may connect; by default those of the definitions, and without any guest
                with the password guest, who may do anything.
            vhosts: Virtual hosts to start with.
            definitions: What to start with beside these, as RabbitMQ exports it: the path of a
                JSON file, or what it holds.
            management_port: TCP port of the management API; 0 picks a free one, None is for none.
            memory_limit: Bytes of messages beyond which publishers are blocked.
            max_message_size: Largest body taken, in bytes; the release's own by default.
            heartbeat: Interval offered to clients, in seconds; 0 for none.
            frame_max: Largest frame offered to clients, in bytes.
            channel_max: Number of channels offered to clients.
            handshake_timeout: Seconds a client has to open its connection.
            silent_close_delay: Seconds before a client is hung up on that makes a mistake while
                it opens its connection, which RabbitMQ does without a word; 0 for at once.
            close_timeout: Seconds a client has to answer the broker's close of its connection.
            consumer_timeout: Seconds a delivery may stay unsettled; None for ever.
            clock: Where time comes from; the event loop by default.

        Raises:
            UsageError: Nothing to listen on, or a release that cannot be emulated.
            DefinitionsError: An entry of the definitions is wrong.
            OSError: The definitions cannot be read.
        """
        if host is None and path is None and name is None:
            raise UsageError("a broker needs a host, a path or a name to be reached by")
        self._host = host
        self._port = port
        self._tls = tls
        self._tls_port = 0 if tls is None else tls_port
        self._path = None if path is None else Path(path)
        self._name = name
        self._clock = clock
        self._emulation: Emulation = emulation_of(emulate)
        self._vhosts = tuple(vhosts)
        self._definitions = (
            None if definitions is None else read_definitions(definitions, self._emulation)
        )
        defined = self._definitions.users if self._definitions is not None else []
        self._has_default_user = users is None and not defined
        self._users = default_users(self._vhosts) if users is None else tuple(users)
        if defined and users is None:
            # First whoever may do most, for the address.
            self._users = tuple(sorted(defined, key=lambda user: ADMINISTRATOR not in user.tags))
        self._memory_limit = memory_limit
        self._consumer_timeout = consumer_timeout
        self._settings = ServerSettings(
            properties=server_properties(self._emulation),
            mechanisms=MECHANISMS,
            tuning=Tuning(channel_max=channel_max, frame_max=frame_max, heartbeat=heartbeat),
            frame_min=self._emulation.frame_min,
            max_message_size=max_message_size or self._emulation.max_message_size,
            counts_bodies=self._emulation.counts_bodies,
            counter_offer=self._emulation.counter_offer,
            also_spoken=self._emulation.also_spoken,
            close_timeout=close_timeout,
            handshake_timeout=handshake_timeout,
            silent_close_delay=silent_close_delay,
        )
        self._management: ManagementServer | None = None
        if management_port is not None:
            self._management = _new_management(host or "127.0.0.1", management_port)
        self.interposer: Interposer | None = None
        """Who stands between the broker and its clients; None unless a test wants faults."""
        self._sockets = ListeningSockets()
        self._listener: Listener | None = None
        self._state: BrokerState | None = None

    def __repr__(self) -> str:
        """Show where it listens."""
        where = self.url if self.is_running else "not running"
        return f"<Broker {where}>"

    # --- what it is --------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether clients can connect."""
        by_name = self._listener is not None and not self._listener.is_away
        return by_name or self._sockets.are_open

    @property
    def emulates(self) -> str:
        """The release of RabbitMQ whose behaviour was asked for, such as `4.3`."""
        return self._emulation.release

    @property
    def state(self) -> BrokerState:
        """What is inside: virtual hosts, users, connections."""
        if self._state is None:
            raise UsageError("the broker is not running: start it first")
        return self._state

    @property
    def port(self) -> int:
        """TCP port without TLS; 0 for a free one that is not picked yet."""
        return self._port

    @property
    def tls_port(self) -> int:
        """TCP port for TLS; 0 without TLS, and for a free one that is not picked yet."""
        return self._tls_port

    @property
    def url(self) -> str:
        """Address of the first virtual host, with the first user's name.

        The default user's password is part of it; that of another user is not.
        """
        if self._host is not None:
            host = f"[{self._host}]" if ":" in self._host else self._host
            return f"amqp://{self._user_info}{host}:{self._port}/{self._vhost}"
        if self._path is not None:
            return self.unix_url
        return self.memory_url

    @property
    def urls(self) -> tuple[str, ...]:
        """Every address that it listens on, each written as `url` is."""
        found = [self.url] if self._host is not None else []
        if self._tls is not None:
            found.append(self.tls_url)
        if self._path is not None:
            found.append(self.unix_url)
        if self._name is not None:
            found.append(self.memory_url)
        return tuple(found)

    @property
    def tls_url(self) -> str:
        """Address over TLS."""
        return f"amqps://{self._user_info}localhost:{self._tls_port}/{self._vhost}"

    @property
    def unix_url(self) -> str:
        """Address of the unix socket."""
        return f"amqp+unix://{self._user_info}{quote(str(self._path))}?vhost={self._vhost}"

    @property
    def memory_url(self) -> str:
        """Address within this event loop."""
        return f"memory://{self._user_info}{self._name}/{self._vhost}"

    @property
    def management_url(self) -> str:
        """Address of the management API.

        Raises:
            UsageError: There is none.
        """
        if self._management is None:
            raise UsageError("the management API is off: ask for Broker(management_port=0)")
        return self._management.url

    @property
    def _user_info(self) -> str:
        if self._has_default_user:
            return "guest:guest@"
        return f"{quote(self._users[0].name, safe='')}@" if self._users else ""

    @property
    def _vhost(self) -> str:
        return quote(self._vhosts[0], safe="") if self._vhosts else ""

    # --- life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to listen, with what `stop` has kept. Does nothing when it runs already."""
        if self.is_running:
            return
        loop = asyncio.get_running_loop()
        if self._state is None:
            self._state = self._new_state(loop)
        else:
            come_back(self._state)
        try:
            await self._listen(loop)
        except BaseException:
            await self._stop_listening(away=False)
            raise

    def _new_state(self, loop: asyncio.AbstractEventLoop) -> BrokerState:
        state = BrokerState(
            clock=self._clock or LoopClock(loop),
            emulation=self._emulation,
            settings=self._settings,
            users=self._users,
            vhosts=self._vhosts,
            memory_limit=self._memory_limit,
            consumer_timeout=self._consumer_timeout,
        )
        if self._definitions is not None:
            acting_user = self._users[0].name if self._has_default_user else None
            load_definitions(state, self._definitions, acting_user)
        return state

    def export_definitions(self, vhost: str | None = None) -> dict[str, Any]:
        """Return everything but messages, as RabbitMQ exports it and can load it.

        Args:
            vhost: The virtual host to export alone; by default all of them, and the users.

        Raises:
            UsageError: It is not running, or there is no such virtual host.
        """
        if vhost is None:
            return export_definitions(self.state)
        found = self.state.vhosts.get(vhost)
        if found is None:
            raise UsageError(f"there is no virtual host {vhost!r}")
        return export_definitions(self.state, found)

    async def stop(self, *, keep: bool = False, abrupt: bool = False) -> None:
        """End every connection and stop listening. Idempotent.

        Args:
            keep: Have after the next `start` what RabbitMQ has after a restart: users, policies,
                durable exchanges and queues with their bindings, and persistent messages. Without,
                everything is forgotten.
            abrupt: Drop the connections without a word, as a crash would, rather than close them
                in order (320).
        """
        await self._stop_listening(away=keep)
        if self._state is None:
            return
        if self.interposer is not None:
            self.interposer.stopping()
        await end_connections(self._state, abrupt=abrupt)
        if keep:
            go_away(self._state, abrupt=abrupt)
        else:
            self._forget()

    async def restart(self, *, keep: bool = True, abrupt: bool = False) -> None:
        """Stop and start on the same addresses; `keep` and `abrupt` as for `stop`."""
        await self.stop(keep=True, abrupt=abrupt)
        if not keep:
            self._forget()
        await self.start()

    def _forget(self) -> None:
        state, self._state = self._state, None
        if state is not None:
            forget(state)

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close every connection and stop listening."""
        await self.stop()

    # --- listening ---------------------------------------------------------------------------

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        def plain() -> asyncio.BaseProtocol:
            return self._accept(loop, self._settings)

        with_external = replace(self._settings, mechanisms=(*self._settings.mechanisms, EXTERNAL))

        def secure() -> asyncio.BaseProtocol:
            return self._accept(loop, with_external)

        host = self._host or "127.0.0.1"
        if self._host is not None:
            self._port = await self._sockets.open_tcp(plain, host, self._port)
        if self._tls is not None:
            self._tls_port = await self._sockets.open_tcp(secure, host, self._tls_port, self._tls)
        if self._path is not None:
            await self._sockets.open_unix(plain, self._path)
        if self._listener is not None:
            self._listener.is_away = False
        elif self._name is not None:
            self._listener = listen(self._name, plain)
        if self._management is not None:
            await self._management.start(self.state, self._listeners())

    def _listeners(self) -> list[tuple[str, str, int]]:
        """Return protocol, address and port of where clients of AMQP are taken, over TCP."""
        host = self._host or "127.0.0.1"
        plain = [("amqp", host, self._port)] if self._host is not None else []
        return plain + ([("amqp/ssl", host, self._tls_port)] if self._tls is not None else [])

    async def _stop_listening(self, *, away: bool) -> None:
        """Take no more clients; with `away`, keep the name for our return."""
        if self._management is not None:
            await self._management.stop()
        self._sockets.close()
        if self._listener is not None and away:
            self._listener.is_away = True
        elif self._listener is not None:
            self._listener.close()
            self._listener = None

    def _accept(
        self, loop: asyncio.AbstractEventLoop, settings: ServerSettings
    ) -> asyncio.BaseProtocol:
        peer = Peer(self.state, settings, loop)
        return peer.link if self.interposer is None else self.interposer.accept(peer)


def _new_management(host: str, port: int) -> "ManagementServer":
    # Imported here: most brokers are without it, and it is a good part of what there is to load.
    from hopmq.broker.management import ManagementServer

    return ManagementServer(host, port)
