"""Connect, and stay connected."""

import asyncio
import logging
import ssl
from collections.abc import Sequence
from typing import Final

from hopmq.client.connect_options import ConnectOptions, check_urls
from hopmq.client.connection import Connection
from hopmq.client.dialing import plan
from hopmq.client.keeping import NoKeeper
from hopmq.client.opening import Opening
from hopmq.client.publishing import OnDisconnect, check_on_disconnect
from hopmq.client.session import Session
from hopmq.client.topology import TopologyChannel
from hopmq.errors import ConnectionLostError
from hopmq.events import Closed, Connected, ConnectionEvent, Recovering
from hopmq.resilience.credentials import CredentialsProvider, Renewal, check_provider
from hopmq.resilience.policy import Recovery, check_recovery
from hopmq.resilience.reconnector import Reconnector
from hopmq.resilience.recovery import ConnectionKeeper
from hopmq.resilience.watchdog import Watch, check_threshold, default_threshold, watchdog
from hopmq.typedefs import FieldTable
from hopmq.url import DEFAULT_URL, parse_url
from hopmq.wire.limits import DEFAULT_MAX_MESSAGE_SIZE

logger: logging.Logger = logging.getLogger("hopmq.connection")

_DEFAULT_RECOVERY: Final = Recovery()


def connect(
    urls: str | Sequence[str] = DEFAULT_URL,
    *,
    name: str | None = None,
    username: str | None = None,
    password: str | None = None,
    vhost: str | None = None,
    heartbeat: int | None = None,
    frame_max: int | None = None,
    channel_max: int | None = None,
    connect_timeout: float | None = None,
    request_timeout: float = 30.0,
    publish_timeout: float = 30.0,
    ssl_context: ssl.SSLContext | None = None,
    auth_mechanisms: Sequence[str] | None = None,
    client_properties: FieldTable | None = None,
    max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
    max_unread_size: int = 64 * 1024 * 1024,
    recovery: Recovery | None = _DEFAULT_RECOVERY,
    on_disconnect: OnDisconnect = "wait",
    credentials: CredentialsProvider | None = None,
    stall_warning: float | None = None,
) -> Opening[Connection]:
    """Connect to a broker: `await` it, or use it as `async with`.

    When its link ends, the connection comes back by itself: see `Recovery`. Connecting for the
    first time is tried once for each URL.

    Args:
        urls: One URL, or several that are tried in random order. `amqp://user:password@host:port/vhost`,
            `amqps://...`, `amqp+unix:///path?vhost=...`, or `memory://name/vhost` for the embedded
            broker of that name within this process and event loop, which is started if need be.
            With RabbitMQ's URI query parameters (cacertfile, certfile, keyfile, verify,
            server_name_indication, auth_mechanism, heartbeat, connection_timeout in milliseconds,
            channel_max, frame_max) and `name`. Both no path and `/` mean virtual host `/`; others are percent-encoded.
        name: What the broker shows for this connection; host, program and process by default.
        username: Overrides the URL's; guest by default.
        password: Overrides the URL's; guest by default.
        vhost: Overrides the URL's.
        heartbeat: Seconds; the lower of both sides holds, 0 turns heartbeats off. Default 60.
        frame_max: Bytes of the largest frame; the lower of both sides holds.
        channel_max: Number of channels; the lower of both sides holds. Default 2047.
        connect_timeout: Seconds for each URL, from the DNS query to open-ok. Default 10.
        request_timeout: Seconds the broker has to answer a request.
        publish_timeout: Seconds a publish may take, unless it says otherwise.
        ssl_context: Used for amqps URLs instead of what their parameters describe.
        auth_mechanisms: SASL mechanisms in order of preference: PLAIN, AMQPLAIN, EXTERNAL.
        client_properties: Shown by the broker beside our own.
        max_message_size: Bytes of the largest message body accepted from the broker.
        max_unread_size: Bytes of messages that may wait unread before the socket is left unread;
            each counts with its properties and what it takes beside them.
        recovery: How the connection comes back; None lets it end with its link, and has URLs
            tried in their order.
        on_disconnect: What a publish does while the connection recovers. `"wait"` holds it until
            its deadline; what was sent and not confirmed ends as unknown. `"raise"` ends it as
            not sent, at once. `"resend"` waits, and sends what was not confirmed again, in order
            and with the message id it had, so that it arrives at least once.
        credentials: An async function that returns `Credentials`: asked for each connect, and
            again in time before they expire. Instead of `username` and `password`.
        stall_warning: Seconds for which the event loop may be blocked before that is logged, with
            what blocks it; a quarter of the heartbeat, between 1 and 5, by default, 0 for never.

    Raises:
        UsageError: A URL or an option is not valid.
        AuthenticationError: The credentials were refused.
        CredentialsError: The provider of credentials failed.
        VhostNotFoundError: The virtual host does not exist, or is not for this user.
        ConnectTimeoutError: No connection within `connect_timeout`.
        HandshakeError: The peer does not speak AMQP 0-9-1.
        ConnectError: Any other reason. With several URLs, the last one's error is raised and
            the message names all.
    """
    options = ConnectOptions(
        name=name,
        username=username,
        password=password,
        vhost=vhost,
        heartbeat=heartbeat,
        frame_max=frame_max,
        channel_max=channel_max,
        connect_timeout=connect_timeout,
        request_timeout=request_timeout,
        publish_timeout=publish_timeout,
        ssl_context=ssl_context,
        auth_mechanisms=auth_mechanisms,
        client_properties=client_properties or {},
        max_message_size=max_message_size,
        max_unread_size=max_unread_size,
    )
    check_on_disconnect(on_disconnect)
    check_recovery(recovery)
    if stall_warning is not None:
        check_threshold(stall_warning)
    if credentials is not None:
        check_provider(credentials, username, password)
    plans = tuple(plan(parse_url(url), options) for url in check_urls(urls))

    async def opened() -> Connection:
        renewal = None if credentials is None else Renewal(credentials, plans[0].name)
        reconnector = Reconnector(plans, recovery, renewal)
        new_link = await reconnector.first()
        keeper = None if recovery is None else ConnectionKeeper(recovery, reconnector)
        session = Session(
            new_link,
            asyncio.get_running_loop(),
            NoKeeper() if keeper is None else keeper,
            options.request_timeout,
            options.max_unread_size,
        )
        topology = TopologyChannel(session)
        if keeper is not None:
            keeper.look_after(session, topology)
        connection = Connection(
            session, topology, plans[0].name, options.publish_timeout, on_disconnect
        )
        if renewal is not None:
            _keep_fresh(renewal, connection)
        _watch_loop(session, stall_warning)
        session.begin(new_link)
        logger.info("%s: connected to %s %s", session.label, connection.product, connection.version)
        return connection

    return Opening(opened)


def _keep_fresh(renewal: Renewal, connection: Connection) -> None:
    """Renew credentials while there is a link that has them."""

    def follow(event: ConnectionEvent) -> None:
        if isinstance(event, Connected):
            renewal.begin(connection.update_secret)
        elif isinstance(event, Recovering | Closed):
            renewal.pause()

    connection.add_listener(follow)


def _watch_loop(session: Session, stall_warning: float | None) -> None:
    """Have blocked loops told of for as long as the connection lives."""
    heartbeat = session.core.tuning.heartbeat
    threshold = default_threshold(heartbeat) if stall_warning is None else stall_warning
    if not threshold:
        return
    loop_watch = _LoopWatch(watchdog.watch(session.loop, threshold), heartbeat)
    session.loop_lag = loop_watch
    session.lifecycle.add_listener(loop_watch.follow)


class _LoopWatch:
    """One connection's watch over its event loop."""

    __slots__ = ("_heartbeat", "_watch")

    def __init__(self, watch: Watch, heartbeat: float) -> None:
        self._watch = watch
        self._heartbeat = heartbeat

    def __call__(self) -> float:
        """Return the seconds by which the loop is late."""
        return self._watch.lag

    def follow(self, event: ConnectionEvent) -> None:
        """Explain the end of a link by a blocked loop, and end with the connection."""
        if not isinstance(event, Recovering | Closed):
            return
        if isinstance(event.error, ConnectionLostError):
            self._watch.explain(event.connection, self._heartbeat)
        if isinstance(event, Closed):
            self._watch.stop()
