"""What decides requests of the local AWS, and what it does in a role's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway_local.rights.actions import Check, UnknownAction, checks_of
from slipway_local.rights.answers import Answer, error_answer, query_answer
from slipway_local.rights.aws_state import AwsState, Identity
from slipway_local.rights.decisions import Denied, ensure_allowed
from slipway_local.rights.evaluation import AccessRequest, Policies, evaluate
from slipway_local.rights.identities import Caller, Identities, policies, role_caller
from slipway_local.rights.principals import Principal
from slipway_local.rights.registry import RegistryTokens
from slipway_local.rights.request_keys import Values, common_keys
from slipway_local.rights.resources import Place
from slipway_local.rights.service_models import service
from slipway_local.rights.sts_calls import ASSUME, Sessions, StsError, assume_role
from slipway_local.rights.sts_calls import assume_role_with_web_identity as with_web_identity
from slipway_local.rights.task_credentials import TaskCredentials
from slipway_local.rights.usage import UsageLog, Use
from slipway_local.rights.web_identity import IssuerKeys
from slipway_local.rights.wire import ApiCall


@dataclass
class Authorizer:
    """What decides requests: it can be asked directly too, for what the local AWS does in a role's name."""

    state: AwsState
    sessions: Sessions
    usage: UsageLog = field(default_factory=UsageLog)
    issuer_keys: IssuerKeys = field(default_factory=IssuerKeys)
    is_public: Callable[[str, str], bool] = lambda host, path: False
    """Whether a request to a host and path is for something that runs behind AWS, as a load balancer's targets."""

    bucket_of_host: Callable[[str], str | None] = lambda host: None
    """Returns the bucket that a host names (`bucket.localhost`), or None."""

    registry_needs_password: bool = False
    """Whether the image registry refuses clients without a password of GetAuthorizationToken, as ECR does."""

    def __post_init__(self) -> None:
        self.identities = Identities(self.state)
        self.tasks = TaskCredentials(self.state, self.sessions)
        self.registry_tokens = RegistryTokens()

    def denial(
        self,
        role_arn: str,
        session_name: str,
        region: str,
        service_name: str,
        operation: str,
        params: Mapping[str, Any],
    ) -> str | None:
        """Returns why a role may not make a call, in AWS's words, or None where it may.

        For calls that a service makes in a role's name: a pull, a container's secrets, a schedule's RunTask.
        """
        role = self._role(role_arn)
        found = service(service_name)
        if role is None or found is None:
            return f"The role {role_arn} does not exist." if found else f"There is no service {service_name}."
        caller = role_caller(role, session_name, region)
        try:
            self.check(ApiCall(found, operation, params, found.protocol), caller, common_keys(region, "127.0.0.1", ""))
        except (Denied, UnknownAction) as error:
            return str(error)
        return None

    def action_denial(self, role_arn: str, session_name: str, region: str, action: str) -> str | None:
        """Returns why a role may not perform an action that has no call in botocore, on `*`; None where it may."""
        role = self._role(role_arn)
        if role is None:
            return f"The role {role_arn} does not exist."
        caller = role_caller(role, session_name, region)
        try:
            ensure_allowed(caller, Check(action, "*", common_keys(region, "127.0.0.1", "")), self.state)
        except Denied as error:
            return str(error)
        return None

    def service_may_assume(self, role_arn: str, service_host: str, source_arn: str = "") -> bool:
        """Whether a role's trust policy lets a service (`ecs-tasks.amazonaws.com`) assume it for a resource."""
        role = self._role(role_arn)
        if role is None:
            return False
        keys = {"aws:sourcearn": source_arn, "aws:sourceaccount": role.account} if source_arn else {}
        principal = Principal("service", service_host, "")
        request = AccessRequest(principal, "sts:AssumeRole", role.arn, keys, role.account)
        trust = policies([role.trust] if role.trust else [])
        return evaluate(request, Policies(resource=trust[0] if trust else None)).allowed

    def _role(self, arn: str) -> Identity | None:
        parts = arn.split(":", 5)
        role = self.state.role(parts[4], arn.rpartition("/")[2]) if len(parts) == 6 else None
        return role if role and role.arn == arn else None

    def check(self, call: ApiCall, caller: Caller, common: Values) -> str:
        """Returns the account that owns the call's resource, when the caller may do all that the call needs.

        Raises:
            Denied: it may not.
            UnknownAction: IAM has no action for the call.
        """
        place = Place(caller.principal.account, caller.region, self.state)
        owner = caller.principal.account
        for number, check in enumerate(checks_of(call, place, common)):
            who = caller.principal.role_arn or caller.principal.arn
            try:
                ensure_allowed(caller, check, self.state)
            except Denied:
                self.usage.record(Use(who, check.action, check.resource, False))
                raise
            self.usage.record(Use(who, check.action, check.resource, True))
            if number == 0:
                owner = self._owner(check.resource) or owner
        return owner

    def is_foreign(self, call: ApiCall, caller: Caller, common: Values) -> bool:
        """Whether a call is for a resource of another account than the caller's, whose policy has to allow it."""
        try:
            checks = checks_of(call, Place(caller.principal.account, caller.region, self.state), common)
        except UnknownAction:
            return False
        return bool(checks) and self._owner(checks[0].resource) not in ("", caller.principal.account)

    def _owner(self, arn: str) -> str:
        found = self.state.resource_policy(arn) if arn.startswith("arn:") else None
        return found[1] if found else ""

    def answer_sts(self, call: ApiCall, caller: Caller, common: Values) -> Answer:
        """Returns what STS answers to AssumeRole and AssumeRoleWithWebIdentity. May block: an issuer is asked."""
        try:
            if call.operation == ASSUME:
                result = assume_role(call, caller, self.state, self.sessions, common)
                self.usage.record(
                    Use(
                        caller.principal.role_arn or caller.principal.arn,
                        "sts:AssumeRole",
                        call.params["RoleArn"],
                        True,
                    )
                )
            else:
                result = with_web_identity(call, self.state, self.sessions, self.issuer_keys, common)
        except StsError as error:
            return error_answer(call.service, call.protocol, error.code, str(error), error.status)
        return query_answer(call.service, call.operation, result)
