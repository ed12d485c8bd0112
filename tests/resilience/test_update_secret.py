"""A fresh secret arrives at the broker, which says so in its log."""

import asyncio
import logging

import pytest

import hopmq
from conftest import RunningBroker


@pytest.mark.parametrize("secret", ["guest", "another"])
async def test_a_broker_agrees_to_any_secret_of_its_own_users_and_logs_that(
    broker: RunningBroker, name: str, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    is_ours = broker.embedded is not None or broker.rabbitmq is not None
    caplog.set_level(logging.INFO, "hopmq.broker")
    connection = await hopmq.connect(broker.url)
    await connection.update_secret(secret, reason=name)
    await connection.channel()
    # the log of a broker that is not ours cannot be read
    while is_ours and name not in (broker.rabbitmq.log if broker.rabbitmq else caplog.text):
        await asyncio.sleep(0.05)
    await connection.close()
    again = await hopmq.connect(broker.url)  # the password itself is what it was
    await again.close()
