"""A broker that does not take us back until an operator has mended it."""

import asyncio

from faults.outages.witness import recovering
from hopmq import Connection
from hopmq.errors import AuthenticationError, VhostNotFoundError
from hopmq.events import AttemptFailed, Recovered
from hopmq.testing import RabbitMQ

SECONDS = 90.0

POLICY = {"max_refusals": None}

_ALL = '<<".*">>, <<".*">>, <<".*">>, <<"test">>'
_CLOSE_ALL = 'rabbit_networking:close_connections(rabbit_networking:local_connections(), "test")'
_ADD_USER = f"""\
rabbit_auth_backend_internal:add_user(<<"carol">>, <<"first">>, <<"test">>),
rabbit_auth_backend_internal:set_permissions(<<"carol">>, <<"/">>, {_ALL}).
"""
_OTHER_PASSWORD = f"""\
rabbit_auth_backend_internal:change_password(<<"carol">>, <<"second">>, <<"test">>),
{_CLOSE_ALL}.
"""
_ADD_VHOST = f"""\
rabbit_vhost:add(<<"ours">>, <<"test">>),
rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"ours">>, {_ALL}).
"""


async def works(connection: Connection, queue: str) -> None:
    """Publish to a queue that was declared before, and read from it."""
    async with connection.channel() as channel:
        await channel.publish(b"there", routing_key=queue, mandatory=True)
        message = await channel.get(queue)
        assert message is not None
        message.ack()


async def test_credentials_that_are_refused_and_then_taken_again(
    victim: RabbitMQ, name: str
) -> None:
    await asyncio.to_thread(victim.evaluate, _ADD_USER)
    options = {"username": "carol", "password": "first", "policy": POLICY}
    async with recovering(victim.url, **options) as witness:
        await witness.connection.declare_queue(name)
        await asyncio.to_thread(victim.evaluate, _OTHER_PASSWORD)
        attempt = await witness.until(AttemptFailed, 2)
        assert attempt.refused
        assert isinstance(attempt.error, AuthenticationError)
        await asyncio.to_thread(victim.ctl, "change_password", "carol", "first")
        await works(witness.connection, name)
        await witness.until(Recovered)
        await witness.connection.delete_queue(name)


async def test_a_virtual_host_that_is_removed_and_made_anew(victim: RabbitMQ, name: str) -> None:
    await asyncio.to_thread(victim.evaluate, _ADD_VHOST)
    async with recovering(victim.url, vhost="ours", policy=POLICY) as witness:
        await witness.connection.declare_queue(name)
        await asyncio.to_thread(victim.ctl, "delete_vhost", "ours")
        while not any(attempt.refused for attempt in witness.of(AttemptFailed)):
            await witness.until(AttemptFailed, len(witness.of(AttemptFailed)) + 1)
        refusals = [attempt for attempt in witness.of(AttemptFailed) if attempt.refused]
        assert isinstance(refusals[0].error, VhostNotFoundError)
        await asyncio.to_thread(victim.evaluate, _ADD_VHOST)
        await works(witness.connection, name)
