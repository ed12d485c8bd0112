"""A cancelled connect leaves nothing open, whichever step of the handshake it has reached."""

import asyncio
import contextlib
import socket

import pytest

import hopmq
from scripted.server import ScriptedServer

from .arrival import Arrival
from .ends import cancel, soon, start
from .handshakes import STEPS


@pytest.mark.parametrize("step", STEPS)
async def test_a_connect_cancelled_during_the_handshake_closes_its_socket(
    server: ScriptedServer, step: str
) -> None:
    held = server.gate.hold(step)
    task = start(hopmq.connect(server.url))
    await soon(held.reached())
    peer = await soon(server.peer())
    await cancel(task)
    await soon(peer.lost)


@pytest.mark.parametrize("step", STEPS)
async def test_a_connect_cancelled_in_the_turn_of_an_answer_closes_its_socket(
    server: ScriptedServer, step: str, arrival: Arrival
) -> None:
    held = server.gate.hold(step)
    task = start(hopmq.connect(server.url))
    await soon(held.reached())
    peer = await soon(server.peer())
    arrival.then(task.cancel)
    held.release()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    await soon(peer.lost)


@pytest.mark.parametrize("step", STEPS)
async def test_a_connect_cancelled_in_the_turn_of_a_refusal_complains_about_nothing(
    server: ScriptedServer, step: str, arrival: Arrival
) -> None:
    held = server.gate.hold(step)
    task = start(hopmq.connect(server.url))
    await soon(held.reached())
    peer = await soon(server.peer())
    arrival.then(task.cancel)
    held.release(instead=b"\x00garbage")
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    await soon(peer.lost)


async def test_a_connect_cancelled_before_it_runs_opens_nothing(server: ScriptedServer) -> None:
    await cancel(start(hopmq.connect(server.url)))
    assert server.peers == []


@pytest.mark.parametrize("turns", range(12))
async def test_a_connect_cancelled_after_any_number_of_turns_closes_its_socket(
    server: ScriptedServer, turns: int
) -> None:
    task = start(hopmq.connect(server.url))
    for _ in range(turns):
        await asyncio.sleep(0)
    if not task.cancel():
        (await soon(task))._session.link.abort()
        return
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    for peer in server.peers:
        await soon(peer.lost)


async def test_a_connect_cancelled_while_tls_starts_closes_its_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        task = start(hopmq.connect(f"amqps://localhost:{port}"))
        loop = asyncio.get_running_loop()
        silent, _ = await soon(loop.sock_accept(listener))
        with silent:
            assert await soon(loop.sock_recv(silent, 4096))  # the client's hello
            await cancel(task)
            with contextlib.suppress(ConnectionResetError):
                assert await soon(loop.sock_recv(silent, 4096)) == b""


async def test_a_cancelled_block_of_a_connection_closes_it(server: ScriptedServer) -> None:
    inside = asyncio.Event()

    async def use() -> None:
        async with hopmq.connect(server.url):
            inside.set()
            await asyncio.Event().wait()

    task = start(use())
    await soon(inside.wait())
    peer = await soon(server.peer())
    await cancel(task)
    await soon(peer.receives("Connection.Close"))
    await soon(peer.lost)


async def test_a_second_url_is_not_tried_after_a_cancel(server: ScriptedServer) -> None:
    held = server.gate.hold("Connection.Start")
    task = start(hopmq.connect([server.url, server.url]))
    await soon(held.reached())
    await cancel(task)
    await soon(server.peers[0].lost)
    assert len(server.peers) == 1
