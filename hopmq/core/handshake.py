"""The opening of a connection, from protocol header to open-ok, for both roles."""

import re
from dataclasses import replace
from enum import Enum
from functools import lru_cache
from typing import Final

from pamqp.base import Frame
from pamqp.commands import Connection

from hopmq.core.events import (
    AuthenticationRequested,
    ChallengeAnswered,
    ConnectionOpened,
    ConnectionRefused,
    CoreEvent,
    VhostRequested,
)
from hopmq.core.settings import ClientSettings, ServerSettings, Tuning, negotiate
from hopmq.errors import (
    AuthenticationError,
    ConnectError,
    ConnectionLimitError,
    ConnectTimeoutError,
    FrameSyntaxError,
    HandshakeError,
    VhostNotFoundError,
)
from hopmq.typedefs import FieldTable
from hopmq.wire import ProtocolHeader, active, new_method
from hopmq.wire.limits import MAX_CHANNEL

_AUTHENTICATION_REFUSED: Final = 403
_NOT_ALLOWED: Final = 530
_LIMIT_REACHED: Final = re.compile(r"connection limit \(\d+\) is reached")
"""RabbitMQ's words where the user, the virtual host or the node has its limit; the code is 530 too."""
_RABBITMQ_FRAME_MIN_SIZE: Final = 8192
"""RabbitMQ from 4.1 on hangs up without a word on a smaller frame_max."""


class Step(Enum):
    """What the handshake waits for next."""

    HEADER = "the protocol header"
    START = "connection.start"
    START_OK = "connection.start-ok"
    SECURE_OK = "connection.secure-ok"
    LOGIN = "the broker's verdict on the credentials"
    TUNE = "connection.tune"
    TUNE_OK = "connection.tune-ok"
    OPEN = "connection.open"
    VERDICT = "the broker's verdict on the virtual host"
    OPEN_OK = "connection.open-ok"
    DONE = "nothing more"


def unexpected(step: Step, what: str) -> ConnectionRefused:
    """Return the refusal for a frame that is out of place."""
    return ConnectionRefused(HandshakeError(f"expected {step.value}, got {what}"))


@lru_cache(maxsize=8)
def _shared(raw: bytes) -> bytes:
    """Return the same object for equal bytes: connections to one broker are told the same."""
    return raw


class ClientHandshake:
    """The client's side: answer start, secure and tune, then ask for the virtual host."""

    __slots__ = ("_server_properties", "_settings", "outgoing", "step", "tuning")

    def __init__(self, settings: ClientSettings) -> None:
        """Wait for connection.start."""
        self._settings = settings
        self.step: Step = Step.START
        self.tuning: Tuning = settings.tuning
        self._server_properties = active.encode_table({})
        self.outgoing: list[Frame] = []

    @property
    def server_properties(self) -> FieldTable:
        """What the server says of itself; kept encoded, at a fraction of the memory."""
        return active.decode_table(self._server_properties)

    def receive_header(self, header: ProtocolHeader) -> CoreEvent:
        """Refuse: a server sends its header only to name the version it speaks instead."""
        version = ".".join(str(octet) for octet in header.raw[5:8])
        return ConnectionRefused(
            HandshakeError(f"the peer does not accept AMQP 0-9-1; it offers AMQP {version}")
        )

    def receive_method(self, method: Frame) -> CoreEvent | None:
        """Take the next method of the handshake."""
        if isinstance(method, Connection.Close):
            self.outgoing.append(new_method(Connection.CloseOk))
            return ConnectionRefused(self._refusal(method))
        if isinstance(method, Connection.Start) and self.step is Step.START:
            return self._start(method)
        if isinstance(method, Connection.Secure) and self.step is Step.TUNE:
            return ConnectionRefused(
                AuthenticationError("the broker asks for more than this SASL mechanism can answer")
            )
        if isinstance(method, Connection.Tune) and self.step is Step.TUNE:
            return self._tune(method)
        if isinstance(method, Connection.OpenOk) and self.step is Step.OPEN_OK:
            self.step = Step.DONE
            return ConnectionOpened()
        return unexpected(self.step, method.name)

    def receive_eof(self, reason: str) -> ConnectError:
        """Say what a link that ends now, for `reason`, most likely means."""
        if self.step is Step.TUNE and not self._says_refused():
            return AuthenticationError(
                "the broker hung up after the credentials were sent; they were probably refused"
            )
        if self.step is Step.OPEN_OK and self.tuning.frame_max < _RABBITMQ_FRAME_MIN_SIZE:
            return HandshakeError(
                f"the broker hung up after tuning: frame_max {self.tuning.frame_max} is probably "
                f"too small for it; RabbitMQ 4.1 and later need {_RABBITMQ_FRAME_MIN_SIZE}"
            )
        return HandshakeError(f"the peer hung up while we waited for {self.step.value}: {reason}")

    def _says_refused(self) -> bool:
        """Return whether the broker closes with 403 where others just hang up."""
        capabilities = self.server_properties.get("capabilities")
        return isinstance(capabilities, dict) and bool(
            capabilities.get("authentication_failure_close")
        )

    def _start(self, method: Connection.Start) -> CoreEvent | None:
        if (method.version_major, method.version_minor) != (0, 9):
            version = f"{method.version_major}-{method.version_minor}"
            return ConnectionRefused(HandshakeError(f"the broker speaks AMQP {version}, not 0-9-1"))
        self._server_properties = _shared(active.encode_table(method.server_properties))
        offered = _words(method.mechanisms)
        usable = [name for name in self._settings.mechanisms if name in offered]
        if not usable:
            return ConnectionRefused(
                AuthenticationError(
                    f"no common SASL mechanism: the broker offers {' '.join(offered)}, "
                    f"we have {' '.join(self._settings.mechanisms)}"
                )
            )
        self.outgoing.append(self._settings.start_ok(usable[0]))
        self.step = Step.TUNE
        return None

    def _tune(self, method: Connection.Tune) -> CoreEvent | None:
        tuning = negotiate(self._settings.tuning, _tuning(method))
        if isinstance(tuning, str):
            return ConnectionRefused(HandshakeError(f"the broker's {tuning}"))
        self.tuning = tuning
        self.outgoing += [_tune_method(Connection.TuneOk, tuning), self._settings.open()]
        self.step = Step.OPEN_OK
        return None

    def _refusal(self, method: Connection.Close) -> ConnectError:
        said = f"{method.reply_code} {method.reply_text}"
        if method.reply_code == _AUTHENTICATION_REFUSED:
            user = self._settings.credentials.username
            return AuthenticationError(f"the broker refused user {user!r}: {said}")
        if method.reply_code == _NOT_ALLOWED and self.step is Step.OPEN_OK:
            if _LIMIT_REACHED.search(method.reply_text):
                return ConnectionLimitError(
                    f"the broker takes no more connections: {said}; close one, or raise the limit"
                )
            vhost = self._settings.virtual_host
            return VhostNotFoundError(f"cannot use virtual host {vhost!r}: {said}")
        return HandshakeError(f"the broker closed the connection during the handshake: {said}")


class ServerHandshake:
    """The server's side; the owner decides on credentials and virtual hosts."""

    __slots__ = (
        "_settings",
        "client_properties",
        "counter_offer",
        "outgoing",
        "step",
        "tuning",
    )

    def __init__(self, settings: ServerSettings) -> None:
        """Wait for the client's protocol header."""
        self._settings = settings
        self.step: Step = Step.HEADER
        self.tuning: Tuning = settings.tuning
        self.client_properties: FieldTable = {}
        self.counter_offer: bytes = settings.counter_offer
        self.outgoing: list[Frame] = []

    def receive_header(self, header: ProtocolHeader) -> CoreEvent | None:
        """Begin, when the client speaks our version."""
        raw = header.raw
        if raw != active.PROTOCOL_HEADER and raw not in self._settings.also_spoken:
            if raw.startswith(b"AMQP\0\0\x09") or raw == b"AMQP\0\0\x0a\0":
                self.counter_offer = active.PROTOCOL_HEADER
            return unexpected(self.step, f"a protocol header {raw!r}")
        self.outgoing.append(
            new_method(
                Connection.Start,
                version_major=0,
                version_minor=9,
                server_properties=self._settings.properties,
                mechanisms=" ".join(self._settings.mechanisms),
                locales="en_US",
            )
        )
        self.step = Step.START_OK
        return None

    def receive_method(self, method: Frame) -> CoreEvent | None:
        """Take the next method of the handshake."""
        if isinstance(method, Connection.StartOk) and self.step is Step.START_OK:
            self.step = Step.LOGIN
            self.client_properties = method.client_properties
            return AuthenticationRequested(
                method.mechanism,
                octets(method.response),
                method.client_properties,
            )
        if isinstance(method, Connection.SecureOk) and self.step is Step.SECURE_OK:
            self.step = Step.LOGIN
            return ChallengeAnswered(octets(method.response))
        if isinstance(method, Connection.TuneOk) and self.step is Step.TUNE_OK:
            return self._tune_ok(method)
        if isinstance(method, Connection.Open) and self.step is Step.OPEN:
            self.step = Step.VERDICT
            return VhostRequested(method.virtual_host)
        return unexpected(self.step, method.name)

    def receive_eof(self, reason: str) -> ConnectError:
        """Say where the client stopped."""
        return HandshakeError(f"the client hung up while we waited for {self.step.value}: {reason}")

    def timed_out(self) -> ConnectTimeoutError:
        """Say where the client got stuck."""
        seconds = self._settings.handshake_timeout
        return ConnectTimeoutError(f"no {self.step.value} within {seconds:g} seconds")

    def challenge(self, challenge: bytes) -> None:
        """Ask the client for another SASL response."""
        self.outgoing.append(new_method(Connection.Secure, challenge=challenge))
        self.step = Step.SECURE_OK

    def accept_login(self) -> None:
        """Go on to tuning."""
        self.outgoing.append(_tune_method(Connection.Tune, self._settings.tuning))
        self.step = Step.TUNE_OK

    def accept_vhost(self) -> None:
        """Open the connection."""
        self.outgoing.append(new_method(Connection.OpenOk))
        self.step = Step.DONE

    def _tune_ok(self, method: Connection.TuneOk) -> CoreEvent | None:
        ours, theirs = self._settings.tuning, _tuning(method)
        tuning = negotiate(ours, theirs)
        too_small = 0 < theirs.frame_max < self._settings.frame_min
        if isinstance(tuning, str) or too_small or _passes(ours, theirs):
            return ConnectionRefused(HandshakeError("the client's tune-ok passes our limits"))
        self.tuning = replace(tuning, heartbeat=theirs.heartbeat)
        self.step = Step.OPEN
        return None


def _passes(offer: Tuning, chosen: Tuning) -> bool:
    """Return whether a limit goes beyond the one offered; 0 asks for none at all."""
    limits = ((offer.channel_max, chosen.channel_max), (offer.frame_max, chosen.frame_max))
    return any(ours and not 0 < theirs <= ours for ours, theirs in limits)


def describe_garbage(error: FrameSyntaxError) -> HandshakeError:
    """Say what a peer that does not speak AMQP seems to speak."""
    if "HTTP/" in error.reason:
        hint = "it answers in HTTP: is this the management port (15672) rather than 5672?"
    elif "\\x15\\x03" in error.reason:
        hint = "it answers in TLS: use amqps:// (port 5671 by default)"
    else:
        hint = "is this the right port?"
    return HandshakeError(f"the peer does not speak AMQP 0-9-1 ({error.reason}); {hint}")


def _tuning(method: Connection.Tune | Connection.TuneOk) -> Tuning:
    return Tuning(
        channel_max=method.channel_max, frame_max=method.frame_max, heartbeat=method.heartbeat
    )


def _tune_method(kind: type[Frame], tuning: Tuning) -> Frame:
    channel_max = min(tuning.channel_max, MAX_CHANNEL)
    return new_method(
        kind,
        channel_max=channel_max,
        frame_max=tuning.frame_max,
        heartbeat=tuning.heartbeat,
    )


def _words(value: str | bytes | None) -> list[str]:
    return octets(value).decode("utf-8", "replace").split()


def octets(value: str | bytes | None) -> bytes:
    """Return a long string argument as bytes, whichever way it was given."""
    return value.encode() if isinstance(value, str) else value or b""
