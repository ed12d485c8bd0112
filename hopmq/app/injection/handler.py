"""Handlers: functions whose parameters are found for each message."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, Final, get_args, get_origin

from hopmq.app.context import ConsumeContext
from hopmq.app.errors import DeclarationError
from hopmq.app.injection.app_scope import AppScope
from hopmq.app.injection.invocation import Invoke, in_thread, invoker
from hopmq.app.injection.plan import Plan, signature_of
from hopmq.app.injection.signatures import GENERATORS, MISSING, Kind
from hopmq.app.serialization import Serialization
from hopmq.app.serialization.reasons import type_name
from hopmq.app.threadsafe import for_thread
from hopmq.client.message import Message

_SEQUENCES: Final = (list, Sequence)


class Handler:
    """A function that handles messages, its signature resolved.

    Attributes:
        name: What it is called in errors.
        function: The function.
        payload_type: The annotation of the payload, for a batch that of one; None where it takes none.
        returns: The annotation of its result; Any where there is none.
        decode: Reads a message's payload, None where none is taken. Raises a `PayloadError`.
        invoke: Calls the function for a context and a payload, for a batch a list of them.
    """

    __slots__ = ("_batch", "decode", "function", "invoke", "name", "payload_type", "returns")

    def __init__(
        self,
        *,
        name: str,
        function: Callable[..., Any],
        payload_type: Any,
        returns: Any,
        decode: Callable[[Message], Any],
        invoke: Invoke,
        batch: bool,
    ) -> None:
        """Hold what `compile_handler` found."""
        self.name: str = name
        self.function: Callable[..., Any] = function
        self.payload_type: Any = payload_type  # any annotation
        self.returns: Any = returns  # any annotation
        self.decode: Callable[[Message], Any] = decode
        self.invoke: Invoke = invoke
        self._batch = batch

    async def __call__(self, context: ConsumeContext) -> Any:
        """Read the payload, call the function, return its result.

        Raises:
            PayloadError: Body, headers or routing key are not what it takes.
        """
        if self._batch:
            return await self.invoke(context, [self.decode(each) for each in context.messages])
        return await self.invoke(context, self.decode(context.messages[0]))


def compile_handler(
    function: Callable[..., Any],
    *,
    name: str,
    serialization: Serialization,
    app_scope: AppScope,
    pattern: str | None = None,
    overrides: Mapping[Callable[..., Any], Callable[..., Any]] | None = None,
    threads: Executor | None = None,
    batch: bool = False,
) -> Handler:
    """Resolve a handler's signature, once, so that little is left to do for each message.

    Args:
        function: The handler: async or plain, a method, an object with `__call__`, a partial.
        name: What errors call it.
        serialization: Reads payloads.
        app_scope: Owns what dependencies of scope `app` give.
        pattern: The routing key it is bound by, whose named words are parameters.
        overrides: Functions that are called instead of those that `Depends` names.
        threads: Runs plain handlers; None for the event loop's own executor.
        batch: Whether it takes several messages at once, the payload as a list.

    Raises:
        DeclarationError: It cannot work; the text names handler and parameter.
    """
    signature = signature_of(function, name)
    if signature.kind in GENERATORS:
        raise DeclarationError(f"{name}: a handler cannot be a generator")
    plan = Plan(pattern=pattern, overrides=overrides or {}, app_scope=app_scope, batch=batch)
    step = plan.handler(signature, name)
    is_plain = signature.kind is Kind.PLAIN
    if is_plain:
        step = step._replace(function=in_thread(step.function, threads))
    invoke = invoker(tuple(plan.steps), step, app_scope if plan.uses_app else None)
    payload_type = _of_one(plan) if batch else plan.payload_type
    return Handler(
        name=name,
        function=function,
        payload_type=None if payload_type is MISSING else payload_type,
        returns=signature.returns,
        decode=_decoder(payload_type, plan.payload_at, serialization),
        invoke=_with_copies(invoke) if is_plain else invoke,
        batch=batch,
    )


def _with_copies(invoke: Invoke) -> Invoke:
    """Return what gives messages to a thread, and to dependencies that may hand them on to it."""
    return lambda context, payload: invoke(for_thread(context), payload)


def _decoder(
    payload_type: Any, where: str, serialization: Serialization
) -> Callable[[Message], Any]:
    if payload_type is MISSING:
        return lambda _message: None
    return serialization.decoder(payload_type, where)


def _of_one(plan: Plan) -> Any:
    """Return what one payload of a batch is."""
    annotation = plan.payload_type
    if annotation is MISSING:
        return MISSING
    arguments = get_args(annotation)
    if get_origin(annotation) not in _SEQUENCES or len(arguments) != 1:
        raise DeclarationError(
            f"{plan.payload_at} is {type_name(annotation)}, and a batch is a list of payloads: "
            f"list[{type_name(annotation)}]"
        )
    return arguments[0]
