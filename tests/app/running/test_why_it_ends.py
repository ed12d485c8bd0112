"""What ends an application, or keeps it from starting, is told: by `run` in a sentence, by `serve` as an error."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import pytest

import hopmq
from hopmq import ConnectError, Connection, ConnectionClosed, HopMQError, Pool, UsageError
from hopmq.app import App, Depends
from hopmq.errors import CredentialsError
from hopmq.resilience import Credentials
from hopmq.url import parse_url

NOWHERE = "amqp://guest:hunter2@127.0.0.1:1"
PROGRAM = """
import sys
from hopmq.app import App

App(sys.argv[1], name="shop").run()
"""


def fail() -> None:
    """Fail as the user's own code does, by an error of ours."""
    raise UsageError("of the program's own")


# --- run -----------------------------------------------------------------------------------------


async def test_a_broker_out_of_reach_is_told_in_one_line(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        NOWHERE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(hopmq.__file__).parents[1])},
    )
    output, errors = await process.communicate()
    assert process.returncode == 1
    assert output == b""
    assert errors.decode() == (
        "hopmq: application 'shop' cannot start: 127.0.0.1:1: cannot connect: Connection refused; "
        "check that a broker runs there and that the URL is right; `hopmq broker` starts one for "
        "development\n"
    )


def told(app: App) -> str:
    """Run, and return what is said of the end."""
    with pytest.raises(SystemExit) as raised:
        app.run()
    assert app.state == "stopped"
    return str(raised.value.code)


def test_who_was_asked_is_told_where_the_broker_refuses(amqp_url: str) -> None:
    endpoint = parse_url(amqp_url)
    place = f"{endpoint.host}:{endpoint.port}"
    sentence = told(App(f"amqp://guest:hunter2@{place}"))
    assert sentence.startswith(
        f"hopmq: the application cannot start: {place}: the broker refused user 'guest': 403"
    )
    assert "hunter2" not in sentence
    assert "hopmq broker" not in sentence


def test_each_of_several_brokers_is_told() -> None:
    sentence = told(App([NOWHERE, "amqp://guest:hunter2@127.0.0.1:2"]))
    assert "127.0.0.1:1: cannot connect" in sentence
    assert "127.0.0.1:2: cannot connect" in sentence
    assert "hunter2" not in sentence


def test_a_mistake_in_a_declaration_is_told() -> None:
    app = App(NOWHERE)

    @app.consumer("orders")
    async def handle(first: int, second: int) -> None: ...

    assert told(app).startswith(
        "hopmq: the application cannot start: orders: parameters 'first' (int) and 'second' (int) could "
    )


def test_what_is_refused_when_it_is_to_be_consumed_is_told(amqp_url: str, name: str) -> None:
    app = App(amqp_url, declare=False)

    @app.consumer(name)
    async def handle(body: bytes) -> None: ...

    assert f"no queue '{name}'" in told(app)


def test_why_it_cannot_go_on_is_told(amqp_url: str) -> None:
    pool = Pool(amqp_url)
    app = App(pool)
    app.on_startup(pool.close)
    assert told(app) == (
        "hopmq: the application cannot go on: the pool that the application was given was closed "
        "while it ran (have the application end before the pool is closed)"
    )


def in_a_hook(app: App) -> None:
    app.on_startup(fail)


def in_a_dependency(app: App) -> None:
    @app.consumer("why-it-ends")
    async def handle(given: Annotated[None, Depends(fail, scope="app")]) -> None: ...


@pytest.mark.parametrize("put", [in_a_hook, in_a_dependency])
def test_what_the_program_itself_raises_is_raised(
    put: Callable[[App], None], amqp_url: str
) -> None:
    app = App(amqp_url)
    put(app)
    with pytest.raises(UsageError, match="of the program's own"):
        app.run()
    assert app.state == "stopped"


def test_what_a_provider_of_credentials_raises_is_raised() -> None:
    async def provide() -> Credentials:
        raise LookupError

    with pytest.raises(CredentialsError):
        App(Pool(NOWHERE, credentials=provide)).run()


async def test_whoever_serves_gets_the_error_itself() -> None:
    with pytest.raises(ConnectError):
        await App(NOWHERE).serve()
    with pytest.raises(ConnectError):
        async with App(NOWHERE):
            raise AssertionError("it has started")


# --- what the application was given is closed ------------------------------------------------


async def given_pool(url: str) -> Pool:
    pool = Pool(url)
    await pool.open()
    return pool


async def given_connection(url: str) -> Connection:
    return await hopmq.connect(url)


@pytest.mark.parametrize("give", [given_pool, given_connection])
@pytest.mark.parametrize("end", ["close", "drain"])
async def test_serving_ends_when_what_it_was_given_is_closed(
    give: Callable[[str], Awaitable[Pool | Connection]], end: str, amqp_url: str, cleaned: str
) -> None:
    given = await give(amqp_url)
    app = App(given)

    @app.consumer(cleaned)
    async def handle(body: bytes) -> None: ...

    serving = asyncio.create_task(app.serve())
    while not app.health().ready:
        await asyncio.sleep(0)
    closing = asyncio.create_task(getattr(given, end)())
    while app.health().ready:
        await asyncio.sleep(0)
    with pytest.raises(ConnectionClosed, match="was given was closed while it ran"):
        await serving
    await closing
    assert app.state == "stopped"


@pytest.mark.parametrize("end", ["close", "drain"])
async def test_consumers_of_a_pool_that_is_closed_are_missing(
    end: str, amqp_url: str, cleaned: str
) -> None:
    pool = await given_pool(amqp_url)
    app = App(pool)

    @app.consumer(cleaned)
    async def handle(body: bytes) -> None: ...

    async with app:
        await getattr(pool, end)()
        while not app.health().missing:
            await asyncio.sleep(0)
        assert app.health().missing == (cleaned,)
        assert not app.health().live


async def test_a_connection_that_is_lost_for_good_ends_serving_by_its_own_error(
    amqp_url: str,
) -> None:
    async with hopmq.testing.FaultProxy(amqp_url) as proxy:
        connection = await hopmq.connect(proxy.url, recovery=None)
        app = App(connection)
        serving = asyncio.create_task(app.serve())
        while not app.health().ready:
            await asyncio.sleep(0)
        await proxy.stop()
        with pytest.raises(HopMQError) as raised:
            await serving
    assert isinstance(raised.value, hopmq.ConnectionLostError)
