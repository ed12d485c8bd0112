"""/api/definitions: everything but messages, out and in."""

from typing import Any, Final

from hopmq.broker.definitions import (
    DefinitionsError,
    export_definitions,
    load_definitions,
    read_definitions,
)
from hopmq.broker.management.call import DONE, Answer, Call, Resource
from hopmq.broker.management.errors import bad_request
from hopmq.broker.management.rights import Needs

Table = dict[str, Any]  # Any: what JSON holds


def _export(call: Call) -> Table:
    return export_definitions(call.state)


def _export_vhost(call: Call) -> Table:
    return export_definitions(call.state, call.vhost)


def _load(call: Call) -> Answer:
    return _loaded(call, None)


def _load_vhost(call: Call) -> Answer:
    return _loaded(call, call.vhost.name)


def _loaded(call: Call, vhost: str | None) -> Answer:
    try:
        definitions = read_definitions(call.definitions(), call.state.emulation, vhost)
        load_definitions(call.state, definitions, call.user.name)
    except DefinitionsError as error:
        raise bad_request(str(error)) from error
    return DONE


RESOURCES: Final = (
    Resource(path="/definitions", needs=Needs.ADMINISTRATOR, get=_export, post=_load),
    Resource(
        path="/definitions/{vhost}",
        needs=Needs.ADMINISTRATOR,
        get=_export_vhost,
        post=_load_vhost,
    ),
)
