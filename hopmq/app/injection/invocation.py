"""A compiled signature at work: dependencies are called in order, then the handler."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Executor
from contextvars import copy_context
from types import CoroutineType
from typing import Any, NamedTuple

from hopmq.app.context import ConsumeContext
from hopmq.app.injection.app_scope import AppScope
from hopmq.app.injection.readers import Reader, read_payload
from hopmq.app.injection.signatures import GENERATORS, Kind
from hopmq.app.injection.teardown import Opened, close_all

Invoke = Callable[[ConsumeContext, Any], Awaitable[Any]]


class Step(NamedTuple):
    """A function to be called, with what it is given by position.

    Attributes:
        function: What is called.
        kind: How it gives its result.
        readers: Where its arguments come from.
        name: What it is called in errors.
    """

    function: Callable[..., Any]
    kind: Kind
    readers: tuple[Reader, ...]
    name: str


async def provide(step: Step, arguments: list[Any], opened: Opened) -> Any:
    """Have a dependency give its value; a generator is left in `opened`.

    Raises:
        RuntimeError: It is a generator that does not yield.
    """
    given = step.function(*arguments)
    if step.kind is Kind.ASYNC:
        return await given
    if step.kind is Kind.PLAIN:
        return await given if type(given) is CoroutineType else given
    nothing = object()
    if isinstance(given, Generator):
        value = next(given, nothing)
    elif isinstance(given, AsyncGenerator):
        value = await anext(given, nothing)
    else:  # what wraps a generator has made something else of it
        return given
    if value is nothing:
        raise RuntimeError(f"dependency {step.name!r} does not yield")
    opened.append(given)
    return value


def in_thread(
    function: Callable[..., Any], threads: Executor | None
) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Make a plain function one that is awaited while a thread runs it.

    A cancellation waits for the function, which nothing can stop: what it works with is not taken
    away while it does. A second one does not wait.
    """

    def call(arguments: tuple[Any, ...]) -> Any:
        try:
            return function(*arguments)
        except StopIteration as error:  # it would be lost: a future cannot hold it
            raise RuntimeError(f"{function!r} raised StopIteration") from error

    async def run(*arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(threads, copy_context().run, call, arguments)
        try:
            result = await asyncio.shield(running)
        except asyncio.CancelledError:
            if not running.done():
                await asyncio.wait([running])
            raise
        return await result if type(result) is CoroutineType else result

    return run


def invoker(steps: tuple[Step, ...], handler: Step, app_scope: AppScope | None) -> Invoke:
    """Return what calls a handler, in the cheapest way that its signature allows."""
    if not steps and app_scope is None:
        return _without_dependencies(handler)
    if any(each.kind in GENERATORS for each in steps):
        return _with_generators(steps, handler, app_scope)
    return _with_values(steps, handler, app_scope)


def _without_dependencies(handler: Step) -> Invoke:
    function, readers = handler.function, handler.readers
    if readers == (read_payload,):
        return lambda _context, payload: function(payload)
    call = _applied(function, readers)
    nothing: list[Any] = []
    return lambda context, payload: call(context, payload, nothing)


def _applied(function: Callable[..., Any], readers: tuple[Reader, ...]) -> Reader:
    """Return what calls a function with what its readers read; the few of most without a list."""
    match readers:
        case ():
            return lambda _context, _payload, _values: function()
        case (one,):
            return lambda context, payload, values: function(one(context, payload, values))
        case (one, two):
            return lambda context, payload, values: function(
                one(context, payload, values), two(context, payload, values)
            )
        case _:
            return lambda context, payload, values: function(
                *[read(context, payload, values) for read in readers]
            )


def _with_values(steps: tuple[Step, ...], handler: Step, app_scope: AppScope | None) -> Invoke:
    plan = [(_applied(each.function, each.readers), each.kind is Kind.ASYNC) for each in steps]
    call = _applied(handler.function, handler.readers)

    async def invoke(context: ConsumeContext, payload: Any) -> Any:
        if app_scope is not None and app_scope.pending:
            await app_scope.open()
        values: list[Any] = []
        for give, is_async in plan:
            given = give(context, payload, values)
            if is_async or type(given) is CoroutineType:
                given = await given
            values.append(given)
        return await call(context, payload, values)

    return invoke


def _with_generators(steps: tuple[Step, ...], handler: Step, app_scope: AppScope | None) -> Invoke:
    call = _applied(handler.function, handler.readers)

    async def invoke(context: ConsumeContext, payload: Any) -> Any:
        if app_scope is not None and app_scope.pending:
            await app_scope.open()
        values: list[Any] = []
        opened: Opened = []
        failure: BaseException | None = None
        result = None
        try:
            for step in steps:
                arguments = [read(context, payload, values) for read in step.readers]
                values.append(await provide(step, arguments, opened))
            result = await call(context, payload, values)
        except BaseException as error:
            failure = error
        failure = await close_all(opened, failure)
        if failure is None:
            return result
        try:
            raise failure
        finally:
            del failure  # its traceback leads here: a circle

    return invoke
