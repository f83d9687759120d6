"""Amazon Managed Prometheus. ministack has none: a workspace lives in the engine's state only, and keeps nothing."""

from __future__ import annotations

from hashlib import sha256

from slipway_local.provider.resource_type import Properties, ProviderContext, StateOnlyResourceType, property_names


class PrometheusWorkspaceResource(StateOnlyResourceType):
    type_name = "aws:amp/workspace:Workspace"
    inputs = property_names("alias kmsKeyArn tags tagsAll")
    force_replacement = property_names("kmsKeyArn")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        id = f"ws-{sha256(str(inputs.get('alias')).encode()).hexdigest()[:32]}"
        return id, {
            "arn": f"arn:aws:aps:{aws.region}:{aws.account}:workspace/{id}",
            "prometheusEndpoint": f"https://aps-workspaces.{aws.region}.amazonaws.com/workspaces/{id}/",
        }
