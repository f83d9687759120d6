"""Reads ministack's own state, in its process: roles and users with their policies, and sessions."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.services import iam, sts

from slipway_local.rights.aws_state import Credentials, Document, Identity, OidcProvider
from slipway_local.rights.ministack_resources import MinistackResources, tags_of, within


class MinistackState(MinistackResources):
    """The local AWS's state, and the sessions that it gives out."""

    def role(self, account: str, name: str) -> Identity | None:
        """Returns a role by its name without path."""
        role = iam._roles.get_scoped(account, None, name)
        if role is None:
            return None
        policies = [*(role.get("InlinePolicies") or {}).items(), *self._attached(role)]
        return self._identity(role, account, policies, "RoleId", trust=role.get("AssumeRolePolicyDocument"))

    def user(self, account: str, name: str) -> Identity | None:
        """Returns a user; its policies include those of its groups."""
        user = iam._users.get_scoped(account, None, name)
        if user is None:
            return None
        with within(account, "us-east-1"):
            policies = [*(iam._user_inline_policies.get(name) or {}).items(), *self._attached(user)]
            for group_name, group in iam._groups.items():
                if name in group.get("Users", ()):
                    policies += [*(iam._group_inline_policies.get(group_name) or {}).items(), *self._attached(group)]
        return self._identity(user, account, policies, "UserId")

    def _attached(self, entity: Mapping[str, Any]) -> list[tuple[str, Document]]:
        documents = ((arn, self.policy_document(arn)) for arn in entity.get("AttachedPolicies", ()))
        return [(arn, document) for arn, document in documents if document is not None]

    def _identity(
        self,
        entity: Mapping[str, Any],
        account: str,
        policies: Sequence[tuple[str, Document]],
        id_name: str,
        trust: Document | None = None,
    ) -> Identity:
        boundary = entity.get("PermissionsBoundary")
        return Identity(
            arn=entity["Arn"],
            account=account,
            policies=policies,
            boundary=(self.policy_document(boundary) or {"Statement": []}) if boundary else None,
            tags=tags_of(entity.get("Tags")),
            unique_id=str(entity.get(id_name, "")),
            trust=trust,
            max_session_seconds=int(entity.get("MaxSessionDuration") or 3600),
        )

    def policy_document(self, arn: str) -> Document | None:
        """Returns the document of a managed policy."""
        parts = arn.split(":")
        document: Document | None = iam_evaluator._resolve_managed_policy_document(
            arn, parts[4] if len(parts) > 4 else ""
        )
        return document

    def credentials(self, access_key_id: str) -> Credentials | None:
        """Returns what an access key belongs to."""
        if iam_evaluator.is_root_access_key(access_key_id):
            account = access_key_id if access_key_id.isdigit() else responses._request_account_id.get()
            return Credentials(access_key_id, "", account, "administrator", f"arn:aws:iam::{account}:root")
        session = sts._sessions.get(access_key_id)
        if session is not None:
            return self._session(access_key_id, session)
        for (account, key_id), record in list(iam._access_keys._data.items()):
            if key_id == access_key_id and record.get("Status") == "Active":
                user = iam._users.get_scoped(account, None, record["UserName"]) or {}
                arn = str(user.get("Arn") or f"arn:aws:iam::{account}:user/{record['UserName']}")
                unique_id = str(user.get("UserId", ""))
                return Credentials(access_key_id, record["SecretAccessKey"], account, "user", arn, unique_id=unique_id)
        return None

    @staticmethod
    def _session(access_key_id: str, session: Mapping[str, Any]) -> Credentials | None:
        arn = str(session.get("Arn", ""))
        parts = arn.split(":")
        if len(parts) < 6 or not session.get("SecretAccessKey"):
            return None
        documents: list[Document] | None = None
        passed = session.get("SessionPolicies")
        if passed:
            documents = [passed["Policy"]] if passed.get("Policy") else []
            for policy_arn in passed.get("PolicyArns") or ():
                document = iam_evaluator._resolve_managed_policy_document(policy_arn, parts[4])
                documents.append(document or {"Statement": []})
        is_role = ":assumed-role/" in arn
        return Credentials(
            access_key_id=access_key_id,
            secret=session["SecretAccessKey"],
            account=parts[4],
            kind="role" if is_role else "administrator" if arn.endswith(":root") else "user",
            arn=arn,
            session_token=str(session.get("SessionToken") or ""),
            expiration=float(session.get("Expiration") or 0),
            issued_at=float(session.get("IssuedAt") or 0),
            session_policies=documents,
            session_tags=tags_of(session.get("SessionTags")),
            unique_id=str(session.get("UserId", "")),
        )

    def start_session(
        self,
        role: Identity,
        session_name: str,
        seconds: int,
        session_policies: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Credentials:
        """Gives out credentials of a role, known to ministack from then on, and returns them."""
        name = role.arn.rpartition("/")[2]
        access_key_id = iam._gen_session_access_key()
        session = {
            "Arn": f"arn:aws:sts::{role.account}:assumed-role/{name}/{session_name}",
            "UserId": f"{role.unique_id}:{session_name}",
            "SecretAccessKey": secrets.token_urlsafe(30),
            "SessionToken": iam._gen_session_token(),
            "Expiration": time.time() + seconds,
            "AccountId": role.account,
            "PrincipalType": "AssumedRole",
            "SessionTags": [{"Key": key, "Value": value} for key, value in (tags or {}).items()],
            "SessionPolicies": session_policies,
        }
        sts.register_session(access_key_id, session)
        started = self._session(access_key_id, session)
        assert started is not None  # noqa: S101 - it has just been made
        return started

    def oidc_provider(self, account: str, host: str) -> OidcProvider | None:
        """Returns the provider for an issuer, by the issuer's URL without its scheme."""
        arn = f"arn:aws:iam::{account}:oidc-provider/{host}"
        provider = iam._oidc_providers.get_scoped(account, None, arn)
        if provider is None:
            return None
        url = str(provider["Url"])
        return OidcProvider(arn, url if "://" in url else f"https://{url}", tuple(provider["ClientIDList"]))
