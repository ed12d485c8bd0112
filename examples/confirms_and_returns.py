"""Confirms and returns: how a publish ends, and what to do about it.

Every publish has exactly one outcome: it returns a receipt, or it raises one of four errors.
`retry_safe` says whether publishing again could make a duplicate.
"""

import asyncio
import os

import hopmq

URL = os.environ.get("AMQP_URL", "amqp://localhost")


async def attempt(channel: hopmq.Channel, queue: str, *, mandatory: bool = False) -> None:
    """Publish a message and tell its outcome."""
    try:
        await channel.publish(b"data", routing_key=queue, mandatory=mandatory)
    except hopmq.PublishReturnedError as error:  # mandatory, and no queue took it
        print("returned:", error.reply_text)
    except hopmq.PublishNackedError:  # the broker refused it
        print("nacked: the queue is full; try again later")
    except hopmq.PublishNotSentError:  # it never left this process
        print("not sent: the channel is closed; publish again elsewhere")
    except hopmq.PublishUnknownError:  # it was sent, and no confirm came
        print("unknown: it may have arrived; publish again if duplicates do no harm")
    else:
        print("confirmed: the broker has it")


async def main() -> None:
    """Bring about one outcome after the other."""
    # A queue for one message, which refuses more instead of dropping the oldest.
    small = hopmq.Queue.classic(
        "", durable=False, exclusive=True, max_length=1, overflow="reject-publish"
    )
    async with hopmq.connect(URL) as connection:
        async with connection.channel() as channel:
            queue = (await channel.declare_queue(small)).name
            await attempt(channel, queue)
            await attempt(channel, queue)  # the queue is full now
            await attempt(channel, "no such queue", mandatory=True)

            # Without `mandatory`, a message that no queue takes is confirmed and dropped:
            # the broker is done with it.
            await attempt(channel, "no such queue")
        await attempt(channel, queue)  # the block above has closed the channel

        # Many at a time: write now, look at the outcomes later.
        async with connection.channel() as channel:
            await channel.purge(queue)
            handles = [channel.publish_nowait(b"data", routing_key=queue) for _ in range(3)]
            for handle in handles:
                await handle.wait()
            confirmed = [isinstance(handle.outcome, hopmq.Receipt) for handle in handles]
            print(f"of three at once, {sum(confirmed)} confirmed, the rest nacked")


asyncio.run(main())
