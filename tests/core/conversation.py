"""What each end says during a handshake, frame by frame."""

from pamqp.commands import Connection

from .actors import method

PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"

# --- the server ------------------------------------------------------------------------------

START_FRAME = method(
    0,
    Connection.Start,
    version_major=0,
    version_minor=9,
    mechanisms="PLAIN AMQPLAIN",
    locales="en_US",
)
OPEN_OK_FRAME = method(0, Connection.OpenOk)


def tune(channel_max: int = 0, frame_max: int = 0, heartbeat: int = 0) -> bytes:
    """Return the server's limits."""
    return method(
        0, Connection.Tune, channel_max=channel_max, frame_max=frame_max, heartbeat=heartbeat
    )


TUNE_FRAME = tune(channel_max=100, frame_max=8192)
SERVER_SIDE = START_FRAME + TUNE_FRAME + OPEN_OK_FRAME

# --- the client ------------------------------------------------------------------------------

START_OK_FRAME = method(
    0, Connection.StartOk, mechanism="PLAIN", response=b"\0guest\0guest", locale="en_US"
)
OPEN_FRAME = method(0, Connection.Open, virtual_host="/")


def tune_ok(channel_max: int = 100, frame_max: int = 8192, heartbeat: int = 0) -> bytes:
    """Return the limits that the client chose."""
    return method(
        0, Connection.TuneOk, channel_max=channel_max, frame_max=frame_max, heartbeat=heartbeat
    )
