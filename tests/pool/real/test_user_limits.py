"""What RabbitMQ allows a user: connections and channels."""

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from client.waiting import until
from hopmq import Pool, PublishError, Recovery
from hopmq.errors import ConnectionLimitError, NotAllowedError, PoolTimeoutError
from hopmq.testing import RabbitMQ
from pool.conftest import QUICKLY, opened


@pytest.fixture
def limited(rabbitmq: RabbitMQ, name: str) -> Iterator[tuple[RabbitMQ, str, str]]:
    """Return a broker, a user of it and that user's address."""
    rabbitmq.ctl("add_user", name, name)
    rabbitmq.ctl("set_permissions", name, ".*", ".*", ".*")
    parts = urlsplit(rabbitmq.url)
    netloc = f"{name}:{name}@{parts.hostname}:{parts.port}"
    yield rabbitmq, name, urlunsplit(parts._replace(netloc=netloc))
    rabbitmq.ctl("delete_user", name)


async def set_limit(limited: tuple[RabbitMQ, str, str], limit: str, value: int) -> None:
    rabbitmq, user, _ = limited
    await asyncio.to_thread(rabbitmq.ctl, "set_user_limits", user, f'{{"{limit}": {value}}}')


async def test_a_user_who_may_not_connect_is_told(limited: tuple[RabbitMQ, str, str]) -> None:
    await set_limit(limited, "max-connections", 0)
    with pytest.raises(ConnectionLimitError, match=r"user connection limit \(0\) is reached"):
        async with Pool(limited[2]):
            pass


async def test_a_pool_lives_with_fewer_connections_than_it_would_have(
    limited: tuple[RabbitMQ, str, str],
) -> None:
    await set_limit(limited, "max-connections", 2)
    async with opened(limited[2], max_connections=4, channels_per_connection=2) as pool:
        async with pool.channel(), pool.channel():
            with pytest.raises(PoolTimeoutError, match="connection limit") as caught:
                async with pool.channel(), pool.channel(timeout=1.0):
                    pass
            assert isinstance(caught.value.__cause__, ConnectionLimitError)
        async with pool.channel(), pool.channel(), pool.channel():
            assert (await pool.publish(b"", routing_key="nobody")).confirmed
        with pytest.raises(ConnectionLimitError):
            await pool.declare_queue("q")  # there is none left for consuming
        await set_limit(limited, "max-connections", 3)
        await until(lambda: can_declare(pool))


async def can_declare(pool: Pool) -> bool:
    try:
        await pool.declare_queue("", exclusive=True)
    except ConnectionLimitError:
        return False
    return True


@pytest.mark.parametrize("recovery", [None, QUICKLY], ids=["off", "on"])
async def test_a_limit_of_channels_is_told_and_kept_from_then_on(
    limited: tuple[RabbitMQ, str, str], recovery: Recovery | None
) -> None:
    await set_limit(limited, "max-channels", 3)
    async with opened(limited[2], max_connections=2, recovery=recovery) as pool:
        async with pool.channel(), pool.channel():
            with pytest.raises(NotAllowedError, match="maximum allowed user limit"):
                async with pool.channel():
                    pass
            # RabbitMQ has closed the connection for it, and the broker may count it still.
            await until(lambda: can_publish(pool))
        ends = await ended_links(pool)
        with pytest.raises(PoolTimeoutError, match="allows no more than"):
            async with (
                pool.channel(timeout=0.5),
                pool.channel(timeout=0.5),
                pool.channel(timeout=0.5),
            ):
                pass
        assert await ended_links(pool) == ends
        assert (await pool.publish(b"", routing_key="nobody")).confirmed


async def can_publish(pool: Pool) -> bool:
    try:
        return (await pool.publish(b"", routing_key="nobody", timeout=1.0)).confirmed
    except PublishError:
        return False


async def ended_links(pool: Pool) -> int:
    links = [each.counters.links for each in pool._engine.publishing.connections.values()]
    return sum(links) - len(links) + pool.statistics().publishing.lost
