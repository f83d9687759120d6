"""Amazon Managed Prometheus. ministack has none: a workspace lives in the engine's state only, and keeps nothing."""

from __future__ import annotations

from hashlib import sha256

from infra.local.provider.kind import Context, Properties, StateOnly, set_of


class Workspace(StateOnly):
    type_name = "aws:amp/workspace:Workspace"
    inputs = set_of("alias kmsKeyArn tags tagsAll")
    replace = set_of("kmsKeyArn")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        id = f"ws-{sha256(str(given.get('alias')).encode()).hexdigest()[:32]}"
        return id, {
            "arn": f"arn:aws:aps:{aws.region}:{aws.account}:workspace/{id}",
            "prometheusEndpoint": f"https://aps-workspaces.{aws.region}.amazonaws.com/workspaces/{id}/",
        }
