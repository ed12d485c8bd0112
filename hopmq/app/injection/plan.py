"""A signature becomes a plan: each parameter has its source, dependencies have their order."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, get_args

from hopmq.app.context import ConsumeContext
from hopmq.app.errors import DeclarationError
from hopmq.app.injection import readers
from hopmq.app.injection.app_scope import AppScope, identity
from hopmq.app.injection.invocation import Step, provide
from hopmq.app.injection.markers import Dependency, Depends, Header, Headers
from hopmq.app.injection.readers import Reader
from hopmq.app.injection.signatures import (
    MISSING,
    Parameter,
    Signature,
    function_name,
    read_signature,
)
from hopmq.app.injection.teardown import Opened
from hopmq.app.routing import part_names, part_reader
from hopmq.app.serialization.choice import value_reader
from hopmq.app.serialization.reasons import type_name
from hopmq.client.message import Message

_Function = Callable[..., Any]

_OF_ONE_MESSAGE: Final = "is of one message, and a batch has several: take list[Message]"
_NO_CONTEXT: Any = None  # a ConsumeContext: what is of the application reads none


class Plan:
    """What has to be done for one handler, found out parameter by parameter."""

    def __init__(
        self,
        *,
        pattern: str | None,
        overrides: Mapping[_Function, _Function],
        app_scope: AppScope,
        batch: bool,
    ) -> None:
        """Begin; see `compile_handler` for the arguments."""
        self.steps: list[Step] = []
        self.payload_type: Any = MISSING
        self.payload_at: str = ""
        self.uses_app: bool = False
        self._overrides = overrides
        self._app_scope = app_scope
        self._batch = batch
        self._pattern = pattern or ""
        self._parts = part_names(self._pattern)
        self._read_parts = part_reader(self._pattern) if self._parts else None
        self._places: dict[object, int] = {}

    def handler(self, signature: Signature, where: str) -> Step:
        """Plan the handler itself, and before it what it depends on.

        Raises:
            DeclarationError: A parameter has no source.
        """
        payloads = [each for each in signature.parameters if self._is_payload(each)]
        if len(payloads) > 1:
            names = " and ".join(f"{each.name!r} ({_kind_of(each)})" for each in payloads)
            raise DeclarationError(
                f"{where}: parameters {names} could each be the payload: only one is; give the "
                "others by Depends, by Header, or name them after parts of the routing key"
            )
        return self._step(signature, where, (signature.function,))

    def _step(self, signature: Signature, where: str, path: tuple[_Function, ...]) -> Step:
        is_handler = len(path) == 1
        sources = []
        for parameter in signature.parameters:
            at = f"{where}: parameter {parameter.name!r}"
            if not is_handler and self._is_payload(parameter) and parameter.default is not MISSING:
                sources.append(readers.constant(parameter.default))
            else:
                sources.append(self._source(parameter, at, path))
        return _step(signature, sources)

    def _is_payload(self, parameter: Parameter) -> bool:
        """Return whether nothing but the payload can be meant."""
        return (
            _dependency(parameter) is None
            and not any(isinstance(each, Header) for each in parameter.metadata)
            and parameter.type is not ConsumeContext
            and parameter.type is not Headers
            and not self._is_given(parameter)
            and not _is_message(parameter.type)
            and not (self._batch and _is_messages(parameter.annotation))
            and parameter.name not in self._parts
        )

    def _is_given(self, parameter: Parameter) -> bool:
        return self._app_scope.gives(parameter.type)

    def _source(self, parameter: Parameter, at: str, path: tuple[_Function, ...]) -> Reader:
        dependency = _dependency(parameter)
        if dependency is not None:
            return self._of_dependency(dependency, at, path)
        if parameter.type is MISSING and parameter.name not in self._parts:
            raise DeclarationError(f"{at} has no annotation")
        if self._is_given(parameter):
            return readers.constant(self._app_scope.given(parameter.type))
        if parameter.type is ConsumeContext:
            return readers.read_context
        if self._batch and _is_messages(parameter.annotation):
            return readers.read_messages
        if self._is_payload(parameter):
            return self._of_payload(parameter, at)
        if self._batch:
            raise DeclarationError(f"{at} {_OF_ONE_MESSAGE}")
        return self._of_message(parameter, at)

    def _of_message(self, parameter: Parameter, at: str) -> Reader:
        if _is_message(parameter.type):
            return readers.read_message
        if parameter.type is Headers:
            return readers.read_headers
        for each in parameter.metadata:
            if isinstance(each, Header):
                return readers.header(each.name, _convert(parameter, at), parameter.default)
        assert self._read_parts is not None
        convert = _convert(parameter, at)
        return readers.routing_key_part(parameter.name, self._pattern, self._read_parts, convert)

    def _of_payload(self, parameter: Parameter, at: str) -> Reader:
        if isinstance(parameter.default, Header):
            raise DeclarationError(f"{at}: write Annotated[..., {parameter.default!r}]")
        if self.payload_type is MISSING:
            self.payload_type, self.payload_at = parameter.annotation, at
        elif self.payload_type != parameter.annotation:
            raise DeclarationError(
                f"{at} would be the payload as {type_name(parameter.annotation)}, but "
                f"{self.payload_at} is, as {type_name(self.payload_type)}"
            )
        return readers.read_payload

    def _of_dependency(
        self, dependency: Dependency, at: str, path: tuple[_Function, ...]
    ) -> Reader:
        function = self._in_place_of(dependency.function)
        if dependency.scope == "app":
            return self._of_app(function, at, path)
        key = identity(function)
        if key not in self._places:
            step = self._step(*_entered(function, at, path))
            self.steps.append(step)
            self._places[key] = len(self.steps) - 1
        return readers.place(self._places[key])

    def _in_place_of(self, function: _Function) -> _Function:
        """Return what is called for a function."""
        return (
            self._overrides.get(function, function) if identity(function) is function else function
        )

    def _of_app(self, function: _Function, at: str, path: tuple[_Function, ...]) -> Reader:
        signature, where, inner_path = _entered(function, at, path)
        sources = [
            self._app_source(each, f"{where}: parameter {each.name!r}", inner_path)
            for each in signature.parameters
        ]
        self.uses_app = True
        held = self._app_scope.value_of(function, lambda: _opening(_step(signature, sources)))
        return readers.app_value(held)

    def _app_source(self, parameter: Parameter, at: str, path: tuple[_Function, ...]) -> Reader:
        dependency = _dependency(parameter)
        if dependency is not None and dependency.scope == "app":
            function = self._in_place_of(dependency.function)
            return self._of_app(function, at, path)
        if dependency is None and self._is_given(parameter):
            return readers.constant(self._app_scope.given(parameter.type))
        if dependency is None and self._is_payload(parameter) and parameter.default is not MISSING:
            return readers.constant(parameter.default)
        raise DeclarationError(
            f"{at} is there for each message, and a dependency of scope 'app' outlives it"
        )


def signature_of(function: _Function, where: str) -> Signature:
    """Take a signature apart, and find markers that were not called.

    Raises:
        DeclarationError: It has a parameter that nothing could be given for.
    """
    signature = read_signature(function, where)
    for parameter in signature.parameters:
        for each in (*parameter.metadata, parameter.default):
            if each is Header or each is Depends:
                raise DeclarationError(
                    f"{where}: parameter {parameter.name!r}: {each.__name__} is to be called, "
                    f"such as {each.__name__}(...)"
                )
    return signature


def _is_message(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, Message)


def _is_messages(annotation: Any) -> bool:
    arguments = get_args(annotation)
    return len(arguments) == 1 and _is_message(arguments[0])


def _kind_of(parameter: Parameter) -> str:
    return "without annotation" if parameter.type is MISSING else type_name(parameter.type)


def _dependency(parameter: Parameter) -> Dependency | None:
    for each in (*parameter.metadata, parameter.default):
        if isinstance(each, Dependency):
            return each
    return None


def _convert(parameter: Parameter, at: str) -> Callable[[Any], Any]:
    """Return what makes a header or a word of the routing key what is wanted."""
    wanted: Any = str if parameter.type is MISSING else parameter.type
    for each in parameter.metadata:
        if not isinstance(each, Header):  # such as pydantic's Field(gt=0)
            wanted = Annotated[wanted, each]
    try:
        return value_reader(wanted)
    except DeclarationError as error:
        raise DeclarationError(f"{at} cannot be made a {type_name(wanted)}: {error}") from error


def _entered(
    function: _Function, at: str, path: tuple[_Function, ...]
) -> tuple[Signature, str, tuple[_Function, ...]]:
    """Go into a dependency.

    Raises:
        DeclarationError: It depends on itself.
    """
    if function in path:
        circle = " -> ".join(
            function_name(each) for each in (*path[path.index(function) :], function)
        )
        raise DeclarationError(f"{at} depends on itself: {circle}")
    where = f"{at}: {function_name(function)}"
    return signature_of(function, where), where, (*path, function)


def _step(signature: Signature, sources: list[Reader]) -> Step:
    by_name = [each.name for each in signature.parameters if each.keyword_only]
    function = signature.function
    return Step(
        _by_position(function, len(sources) - len(by_name), by_name) if by_name else function,
        signature.kind,
        tuple(sources),
        function_name(function),
    )


def _by_position(function: _Function, positional: int, names: list[str]) -> _Function:
    def call(*values: Any) -> Any:
        return function(*values[:positional], **dict(zip(names, values[positional:], strict=True)))

    return call


def _opening(step: Step) -> Callable[[Opened], Awaitable[Any]]:
    """Return what opens a value of the application."""

    def open_(opened: Opened) -> Awaitable[Any]:
        return provide(step, [read(_NO_CONTEXT, None, []) for read in step.readers], opened)

    return open_
