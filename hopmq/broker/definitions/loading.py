"""Have a broker do what definitions ask for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pamqp.commands import Exchange, Queue

from hopmq.broker.access import Permission, User
from hopmq.broker.definitions.entries import DefinitionsError
from hopmq.broker.definitions.reading import (
    BindingDefinition,
    Declaration,
    Definitions,
    Grant,
    InVhost,
    PolicyDefinition,
)
from hopmq.broker.direct import DirectChannel
from hopmq.broker.exchanges.exchange import Exchange as BrokerExchange
from hopmq.broker.refusal import Refusal
from hopmq.wire import new_method

if TYPE_CHECKING:
    from hopmq.broker.state import BrokerState
    from hopmq.broker.vhost import VirtualHost


def load_definitions(
    state: "BrokerState", definitions: Definitions, acting_user: str | None = None
) -> None:
    """Add what definitions hold to a broker; what is there already stays as it is.

    Args:
        state: The broker.
        definitions: See `read_definitions`.
        acting_user: Who loads them, and may do everything in virtual hosts that are made.

    Raises:
        DefinitionsError: An entry cannot be loaded; those before it are.
    """
    for user in definitions.users:
        _set_user(state, user)
    for name, metadata in definitions.vhosts.items():
        is_new = name not in state.vhosts
        state.add_vhost(name).metadata = metadata
        if is_new and acting_user is not None:
            state.allow(acting_user, name, Permission())
    for grant in definitions.grants:
        _grant(state, grant)
    for policy in definitions.policies:
        _set_policy(state, policy)
    for exchange in definitions.exchanges:
        _declare_exchange(state, exchange)
    for queue in definitions.queues:
        _declare_queue(state, queue)
    for binding in definitions.bindings:
        _bind(state, binding)
    for vhost in state.vhosts.values():
        vhost.apply_policies()


def _set_user(state: "BrokerState", user: User) -> None:
    present = state.access.user(user.name)
    permissions = {} if present is None else present.permissions
    state.access.set(
        User(
            name=user.name,
            password_hash=user.password_hash,
            tags=user.tags,
            permissions=permissions,
        )
    )


def _grant(state: "BrokerState", grant: Grant) -> None:
    if grant.vhost not in state.vhosts:
        raise _missing(grant.place, grant.vhost)
    if state.access.user(grant.username) is None:
        raise DefinitionsError(f"{grant.place}: there is no user {grant.username!r}")
    state.allow(grant.username, grant.vhost, grant.permission)


def _set_policy(state: "BrokerState", definition: PolicyDefinition) -> None:
    policies = _vhost_of(state, definition).policies
    target = policies.operator if definition.is_operator else policies
    target.set(definition.policy)


def _declare_exchange(state: "BrokerState", definition: Declaration) -> None:
    vhost = _vhost_of(state, definition)
    method = definition.method
    assert isinstance(method, Exchange.Declare)
    if method.exchange in vhost.exchanges:
        return
    with _told_where(definition.place):
        # Not as a client does it, who may not declare RabbitMQ's own such as amq.rabbitmq.log.
        vhost.add_exchange(
            BrokerExchange(
                method.exchange,
                method.exchange_type,
                durable=method.durable,
                auto_delete=method.auto_delete,
                internal=method.internal,
                arguments=method.arguments,
                rules=vhost.rules,
            )
        )


def _declare_queue(state: "BrokerState", definition: Declaration) -> None:
    vhost = _vhost_of(state, definition)
    method = definition.method
    assert isinstance(method, Queue.Declare)
    if method.queue in vhost.queues:
        return
    with _told_where(definition.place):
        DirectChannel(state, vhost).create_queue(method)


def _bind(state: "BrokerState", definition: BindingDefinition) -> None:
    vhost = _vhost_of(state, definition)
    if not definition.source:
        return  # of the default exchange, which every queue is bound to anyway
    method = (
        new_method(
            Exchange.Bind,
            source=definition.source,
            destination=definition.destination,
            routing_key=definition.routing_key,
            arguments=definition.arguments,
            nowait=True,
        )
        if definition.to_exchange
        else new_method(
            Queue.Bind,
            exchange=definition.source,
            queue=definition.destination,
            routing_key=definition.routing_key,
            arguments=definition.arguments,
            nowait=True,
        )
    )
    with _told_where(definition.place):
        DirectChannel(state, vhost).do(method)


def _vhost_of(state: "BrokerState", definition: InVhost) -> "VirtualHost":
    found = state.vhosts.get(definition.vhost)
    if found is None:
        raise _missing(definition.place, definition.vhost)
    return found


def _missing(place: str, vhost: str) -> DefinitionsError:
    return DefinitionsError(f"{place}: there is no virtual host {vhost!r}")


@contextmanager
def _told_where(place: str) -> Iterator[None]:
    try:
        yield
    except Refusal as refusal:
        raise DefinitionsError(f"{place}: {refusal.text}") from refusal
