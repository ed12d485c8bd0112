"""A program that connects, forks, and goes on; its child behaves as the command line says.

It prints a line of JSON for each step, and takes the next step when it reads a line.
"""

import asyncio
import gc
import json
import multiprocessing
import os
import sys
from collections.abc import Awaitable, Callable

import hopmq
from hopmq import Channel, Connection, HopMQError, Message


def say(**facts: object) -> None:
    """Print what is the case."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def wait_for_a_line() -> None:
    """Block until the next step may be taken: a helping thread would not survive a fork."""
    sys.stdin.readline()


async def outcome(call: Callable[[], Awaitable[object]]) -> str:
    """Name how a call ends."""
    try:
        await call()
    except (HopMQError, RuntimeError) as error:
        return type(error.__cause__ or error).__name__
    return "done"


class Program:
    """The parent's connection and all that belongs to it."""

    def __init__(self, connection: Connection, channel: Channel, queue: str) -> None:
        self.connection = connection
        self.channel = channel
        self.queue = queue
        self.message: Message

    async def fails(self) -> dict[str, str]:
        """Name what becomes of each call, in a child."""
        connection, channel = self.connection, self.channel
        return {
            "publish": await outcome(lambda: channel.publish(b"x", routing_key=self.queue)),
            "declare": await outcome(lambda: connection.declare_queue("forked")),
            "channel": await outcome(connection.channel),
            "get": await outcome(lambda: channel.get(self.queue)),
            "consume": await outcome(lambda: channel.consume(self.queue)),
            "update": await outcome(lambda: connection.update_secret("guest")),
            "ack": self.message.ack().value,
            "close channel": await outcome(channel.close),
            "state": connection.state,
        }

    async def publishes(self) -> None:
        """Publish a message and have it confirmed."""
        await self.channel.publish(b"the same size each time", routing_key=self.queue)


def in_a_process(program: Program) -> None:
    """Try it all on an event loop of the child's own."""
    fails = asyncio.run(program.fails())
    say(child=fails | {"close": asyncio.run(outcome(program.connection.close))})


async def fork(program: Program, style: str, waiting: "asyncio.Task[Message]") -> int | None:
    """Return the number of a child, or None in one that is to go on as if nothing was."""
    if style == "recovering":
        program.connection._session.link.abort()
        await program.connection.wait_for("recovering")
    if style in {"multiprocessing", "recovering"}:
        process = multiprocessing.get_context("fork").Process(target=in_a_process, args=[program])
        process.start()
        process.join()
        return process.pid
    child = os.fork()
    if child:
        os.waitpid(child, 0)  # noqa: ASYNC222  # as above
        return child
    if style == "same loop":
        say(child=await program.fails() | {"iterate": await outcome(lambda: waiting)})
        os._exit(0)
    if style == "survives":
        say(child={})
        sys.stdin.readline()
        os._exit(0)
    if style == "forgets":
        transport = program.connection._session.link.transport
        transport.abort()
        vars(program).clear()
        del transport
        gc.collect()
        say(child={})
        os._exit(0)
    say(child={})
    return None  # it unwinds, closes the parent's loop and exits like any program


async def main(url: str, style: str) -> None:
    """Connect, fork, and show that all is as it was."""
    recovery = hopmq.Recovery(backoff=hopmq.resilience.Constant(0.0))
    connection = await hopmq.connect(url, heartbeat=0, recovery=recovery)
    channel = await connection.channel()
    queue = (await channel.declare_queue("", exclusive=True)).name
    program = Program(connection, channel, queue)
    consumer = await channel.consume(queue)
    await program.publishes()
    program.message = await anext(consumer)
    say(step="ready")
    wait_for_a_line()
    await program.publishes()
    await anext(consumer)
    say(step="published")
    wait_for_a_line()
    waiting = asyncio.ensure_future(anext(consumer))
    await asyncio.sleep(0)
    if await fork(program, style, waiting) is None:
        return
    say(step="forked")
    wait_for_a_line()
    await connection.wait_for("open")
    program.queue = consumer.queue  # another name, where the connection had to come back
    await program.publishes()
    message = await asyncio.wait_for(waiting, 10)
    say(step="published", received=message.body.decode())
    wait_for_a_line()
    program.message.ack()
    await connection.close()
    say(step="closed", code=(await connection.wait_closed()).reply_code)
    os._exit(0)  # a child that closed this loop has taken its self-pipe out of the poll set


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes an event loop of that kind."""
    if name == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop


if __name__ == "__main__":
    _, loop, url, style = sys.argv
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        runner.run(main(url, style))
