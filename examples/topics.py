"""Topics: routing by patterns.

A topic exchange reads routing keys as words between dots. In the key of a binding, `*` stands
for one word and `#` for any number of words, none included.
"""

import asyncio
import os

import hopmq

URL = os.environ.get("AMQP_URL", "amqp://localhost")
WEATHER = hopmq.Exchange.topic("hopmq.example.weather", auto_delete=True)

REPORTS = {
    "europe.berlin.rain": b"12 mm",
    "europe.berlin.wind": b"3 m/s",
    "asia.kyoto.rain": b"40 mm",
}
PATTERNS = ("europe.#", "*.*.rain", "#")


async def main() -> None:
    """Publish three reports and show which patterns get them."""
    async with hopmq.connect(URL) as connection, connection.channel() as channel:
        await channel.declare_exchange(WEATHER)
        queues = {}
        for pattern in PATTERNS:
            queue = await channel.declare_queue(hopmq.Queue.temporary())
            await channel.bind(queue.name, WEATHER, pattern)
            queues[pattern] = queue.name

        for key, body in REPORTS.items():
            await channel.publish(body, exchange=WEATHER, routing_key=key)

        for pattern, name in queues.items():
            # `get` fetches one message at a time, and None when there is none. It costs a
            # round trip each: consume instead wherever messages keep coming.
            keys = []
            while (message := await channel.get(name, no_ack=True)) is not None:
                keys.append(message.routing_key)
            print(f"{pattern:9} gets {', '.join(keys)}")


asyncio.run(main())
