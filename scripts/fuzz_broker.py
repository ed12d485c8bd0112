"""Talk nonsense to an embedded broker, over sockets, and demand that it stays as it was.

Conversations of clients are altered, half of them before the login and half after it. The broker
must end each connection it cannot go on with by a close with an AMQP code, or without a word
where RabbitMQ does that; raise nothing; answer another connection all along; and hold nothing
when it is over.

    python scripts/fuzz_broker.py                      100,000 conversations
    python scripts/fuzz_broker.py --count 2000 --seed 7 --emulate 4.0
"""

import argparse
import asyncio
import gc
import logging
import random
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any  # events of a decoder

from fuzz_conversations import FRAME_MAX, Talker
from pamqp.commands import Channel, Connection

import hopmq
from hopmq.broker import Broker
from hopmq.errors import FrameSyntaxError, HopMQError
from hopmq.wire import active

AT_ONCE = 32
PATIENCE = 10.0
QUIET = 0.05
"""Seconds without a byte from the broker after which it has nothing more to say."""
WITNESS_EVERY = 100
CODES = {320, 403, 404, 405, 406, 311, 312, 313, 501, 502, 503, 504, 505, 506, 530, 540, 541}


@dataclass(slots=True)
class Findings:
    """What was seen.

    Attributes:
        endings: How connections ended, and how often.
        faults: What must not have happened.
        slowest: The longest answer to the witness, in seconds.
    """

    endings: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0


async def converse(host: str, port: int, pieces: list[bytes], findings: Findings) -> None:
    """Say everything, read every answer, and look at how the broker takes it."""
    reader, writer = await asyncio.open_connection(host, port)
    decoder = active.Decoder(frame_max=FRAME_MAX)
    ended: list[str] = []
    try:
        for piece in pieces:
            writer.write(piece)
        await writer.drain()
        async with asyncio.timeout(PATIENCE):
            while data := await _read(reader):
                _look_at(decoder.feed(data), decoder, ended, findings)
    except ConnectionError:
        ended.append("reset")
    except TimeoutError:
        findings.faults.append("the broker neither answers nor falls silent")
    finally:
        writer.transport.abort()
    findings.endings[" ".join(ended) or "still open"] += 1


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(QUIET):
            return await reader.read(65_536)
    except TimeoutError:
        return b""


def _look_at(batch: list[Any], decoder: Any, ended: list[str], findings: Findings) -> None:
    while batch:
        for event in batch:
            method = getattr(event, "method", None)
            if isinstance(event, FrameSyntaxError):
                findings.faults.append(f"the broker sent malformed bytes: {event}")
                return
            if isinstance(method, Connection.Close | Channel.Close):
                if isinstance(method, Connection.Close):
                    ended.append(str(method.reply_code))
                if method.reply_code not in CODES:
                    findings.faults.append(f"an unknown code: {method.reply_code}")
                if method.reply_code == 541 and "deprecated" not in method.reply_text:
                    findings.endings[f"541 {method.reply_text}"] += 1
        batch = decoder.more()


async def bear_witness(channel: hopmq.Channel, findings: Findings) -> None:
    """Publish and fetch a message, as a client that has nothing to do with the others."""
    begun = time.perf_counter()
    await channel.publish(b"witness", routing_key="witness", mandatory=True)
    message = await channel.get("witness", no_ack=True)
    if message is None or message.body != b"witness":
        findings.faults.append("the witness has lost a message")
    findings.slowest = max(findings.slowest, time.perf_counter() - begun)


async def fuzz(count: int, seed: int, emulate: Any) -> Findings:
    """Hold `count` conversations."""
    findings = Findings()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(
        lambda _, context: findings.faults.append(f"raised: {context.get('exception') or context}")
    )
    async with Broker(emulate=emulate, silent_close_delay=0.0) as broker:
        url, port = broker.url, broker.port
        async with hopmq.connect(url) as connection, connection.channel() as channel:
            await connection.declare_queue("witness")
            talker = Talker(random.Random(seed))
            sizes: list[int] = []
            for done in range(0, count, WITNESS_EVERY):
                conversations = [
                    talker.conversation(authenticated=bool(number % 2))
                    for number in range(min(WITNESS_EVERY, count - done))
                ]
                for at in range(0, len(conversations), AT_ONCE):
                    some = conversations[at : at + AT_ONCE]
                    await asyncio.gather(
                        *(converse("127.0.0.1", port, each, findings) for each in some)
                    )
                try:
                    await bear_witness(channel, findings)
                except HopMQError as error:
                    findings.faults.append(f"the witness was harmed: {error}")
                    break
                if findings.faults:
                    break
                if not done % 2000:
                    await clear_away(broker)
                    sizes.append(len(gc.get_objects()))
            await clear_away(broker)
            if len(broker.state.peers) != 1:
                findings.faults.append(f"{len(broker.state.peers) - 1} connections were kept")
            if len(sizes) > 5 and sizes[-1] > sizes[len(sizes) // 2] * 1.1 + 2000:
                findings.faults.append(f"objects grew from {sizes[len(sizes) // 2]} to {sizes[-1]}")
    return findings


async def clear_away(broker: Broker) -> None:
    """Delete what the conversations have declared, once all of them are over."""
    # The witness was the first; the others have hung up, and the broker sees it soon.
    lost = [peer.link.lost for peer in broker.state.peers][1:]
    if lost:
        await asyncio.wait(lost, timeout=PATIENCE)
    vhost = broker.state.vhosts["/"]
    for queue in list(vhost.queues.values()):
        if queue.name != "witness":
            vhost.delete_queue(queue)
    for exchange in list(vhost.exchanges.values()):
        if exchange.name and not exchange.name.startswith("amq."):
            vhost.delete_exchange(exchange)
    gc.collect()


def main() -> int:
    """Fuzz, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--emulate", default="4.3")
    options = parser.parse_args()
    logging.getLogger("hopmq").setLevel(logging.CRITICAL)  # every refusal is a warning
    begun = time.perf_counter()
    findings = asyncio.run(fuzz(options.count, options.seed, options.emulate))
    seconds = time.perf_counter() - begun
    print(f"{sum(findings.endings.values()):,} conversations in {seconds:.0f} s")
    for ending, times in findings.endings.most_common():
        print(f"  {times:8,}  {ending}")
    print(f"longest answer to the witness: {findings.slowest * 1000:.0f} ms")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory: {peak / 1024:.0f} MiB")
    for fault in findings.faults[:10]:
        print(f"FAULT: {fault}")
    print("0 faults" if not findings.faults else f"{len(findings.faults)} faults")
    return int(bool(findings.faults))


if __name__ == "__main__":
    sys.exit(main())
