"""From a call to what has to be allowed: IAM actions, each on its resources, with its condition keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from slipway_local.rights import iam_data
from slipway_local.rights.action_names import actions_of_operation
from slipway_local.rights.dependent_actions import dependent_needs, tags_at_creation
from slipway_local.rights.passed_roles import passed_roles
from slipway_local.rights.request_keys import RequestKeys, Values, service_keys, tag_keys
from slipway_local.rights.resource_rules import call_resources
from slipway_local.rights.resources import Place
from slipway_local.rights.wire import ApiCall

NEEDS_NOTHING = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})
"""Actions that AWS allows all callers with credentials, regardless of policies."""


class UnknownAction(Exception):
    """IAM has no action for the operation, as far as the data and the tables here know."""

    def __init__(self, action: str) -> None:
        super().__init__(f"{action} is not an IAM action that the local AWS knows, so it is refused.")
        self.action = action


@dataclass(frozen=True)
class Check:
    """One action on one resource, which the caller's policies have to allow."""

    action: str
    resource: str
    keys: Mapping[str, str | Sequence[str]]


def checks_of(call: ApiCall, place: Place, common: Values) -> list[Check]:
    """Returns all that a call needs; AWS asks for all of it.

    Raises:
        UnknownAction: the operation has no IAM action.
    """
    prefix = call.service.iam_prefix
    method = call.service.operation(call.operation).http["method"]
    names = actions_of_operation(prefix, call.operation, method, call.params)
    checks: list[Check] = []
    first: iam_data.Action | None = None
    resources: list[str] = []
    tags = tag_keys(call.params)
    for name in names:
        action = iam_data.action(name)
        if action is None:
            raise UnknownAction(name)
        if action.name in NEEDS_NOTHING:
            continue
        keys = common | service_keys(action, call.params, place, call.headers)
        of_action = call_resources(action, call.params, place)
        checks += [
            _check(action, each, keys | tags if action.knows_request_tags else keys, place) for each in of_action
        ]
        first = first or action
        resources = resources or of_action
    return checks + list(_further(call, first, resources, common, tags, place)) if first else checks


def _further(
    call: ApiCall, action: iam_data.Action, resources: list[str], common: Values, tags: Values, place: Place
) -> Iterator[Check]:
    """Yields what the call needs in addition to its own actions. The request's tags are a key of the tagging only."""
    prefix, operation, params = call.service.iam_prefix, call.operation, call.params
    for role, service in passed_roles(prefix, operation, action.access_level, params, place):
        yield Check("iam:PassRole", role, common | {"iam:passedtoservice": service})
    if action.name in ("ecs:RunTask", "ecs:StartTask"):
        for role in place.state.task_definition_roles(resources[0]):
            yield Check("iam:PassRole", role, common | {"iam:passedtoservice": "ecs-tasks.amazonaws.com"})
    for need in tags_at_creation(prefix, operation, resources, params, place):
        yield Check(need.action, need.resource, common | tags | need.keys)
    for need in dependent_needs(prefix, operation, resources, params, place):
        known = iam_data.action(need.action)
        keys = common | need.keys
        yield _check(known, need.resource, keys, place) if known else Check(need.action, need.resource, keys)


def _check(action: iam_data.Action, resource: str, keys: Values, place: Place) -> Check:
    """Returns the check, with the tags of an existing resource. A bucket's are not a condition key."""
    if not action.knows_resource_tags or resource == "*" or resource.endswith("/*") or action.name.startswith("s3:"):
        return Check(action.name, resource, keys)
    return Check(action.name, resource, RequestKeys(keys, partial(place.state.resource_tags, resource)))
