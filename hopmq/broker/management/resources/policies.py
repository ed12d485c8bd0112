"""/api/policies and /api/operator-policies."""

from collections.abc import Callable
from html import escape
from typing import Any, Final

from hopmq.broker.definitions.exporting import policy_table
from hopmq.broker.management.call import (
    CREATED,
    DONE,
    Answer,
    Call,
    Resource,
    check_keys,
    checked_name,
    found,
)
from hopmq.broker.management.errors import bad_request
from hopmq.broker.management.rights import Needs
from hopmq.broker.policies import Policy, PolicySet
from hopmq.broker.policy_rules import PolicyError, new_policy
from hopmq.broker.vhost import VirtualHost

Table = dict[str, Any]  # Any: what JSON holds


def _view(vhost: VirtualHost, policy: Policy) -> Table:
    return {"vhost": vhost.name, "name": policy.name, **policy_table(policy)}


def _own(vhost: VirtualHost) -> PolicySet:
    return vhost.policies


def _operators(vhost: VirtualHost) -> PolicySet:
    return vhost.policies.operator


class _Policies:
    """The same resources for both sets of policies."""

    def __init__(self, of: Callable[[VirtualHost], PolicySet], *, is_operator: bool) -> None:
        self._of = of
        self._is_operator = is_operator

    def list(self, call: Call) -> list[Table]:
        """Answer with all that the user sees."""
        return [_view(vhost, policy) for vhost in call.vhosts() for policy in self._of(vhost)]

    def get(self, call: Call) -> Table:
        """Answer with one."""
        return _view(call.vhost, found(self._of(call.vhost).get(call.values["name"])))

    def put(self, call: Call) -> Answer:
        """Set one."""
        body = call.body()
        name = checked_name(call.values["name"])
        check_keys(body, "pattern", "definition")
        emulation = call.state.emulation
        try:
            policy = new_policy(name, body, emulation, is_operator=self._is_operator)
        except PolicyError as error:
            escapes = emulation.api_escapes
            reason = escape(error.reason, quote=False) if escapes else error.reason
            raise bad_request(reason) from error
        policies = self._of(call.vhost)
        is_new = policies.get(name) is None
        policies.set(policy)
        call.vhost.apply_policies()
        return CREATED if is_new else DONE

    def delete(self, call: Call) -> Answer:
        """Clear one."""
        policies = self._of(call.vhost)
        found(policies.get(call.values["name"]))
        policies.remove(call.values["name"])
        call.vhost.apply_policies()
        return DONE

    def resources(self, path: str, to_change: Needs) -> tuple[Resource, ...]:
        """Return the resources under a path."""
        return (
            Resource(path=path, get=self.list, is_list=True),
            Resource(path=f"{path}/{{vhost}}", needs=Needs.VHOST, get=self.list, is_list=True),
            Resource(
                path=f"{path}/{{vhost}}/{{name}}",
                needs=Needs.VHOST,
                needs_to_change=to_change,
                get=self.get,
                put=self.put,
                delete=self.delete,
            ),
        )


RESOURCES: Final = (
    *_Policies(_own, is_operator=False).resources("/policies", Needs.POLICYMAKER),
    *_Policies(_operators, is_operator=True).resources("/operator-policies", Needs.ADMINISTRATOR),
)
