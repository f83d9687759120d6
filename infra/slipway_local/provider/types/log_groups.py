"""CloudWatch Logs."""

from __future__ import annotations

from slipway_local.provider.resource_type import Properties, ProviderContext, ResourceType, property_names


class LogGroupResource(ResourceType):
    type_name = "aws:cloudwatch/logGroup:LogGroup"
    inputs = property_names("name retentionInDays kmsKeyId skipDestroy region tags tagsAll")
    force_replacement = property_names("name region")
    name_property = ("name", 512)

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        name = inputs["name"]
        key = {"kmsKeyId": inputs["kmsKeyId"]} if inputs.get("kmsKeyId") else {}
        aws("logs", inputs.get("region")).create_log_group(logGroupName=name, tags=inputs.get("tagsAll") or {}, **key)
        self._retention(aws, name, inputs)
        return name, {"arn": self._arn(aws, name, inputs)}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        logs = aws("logs", state.get("region"))
        groups = logs.describe_log_groups(logGroupNamePrefix=id)["logGroups"]
        resource = next((group for group in groups if group["logGroupName"] == id), None)
        if resource is None:
            return None
        arn = self._arn(aws, id, state)
        tags = logs.list_tags_for_resource(resourceArn=arn)["tags"]
        return {
            "name": id,
            "arn": arn,
            "retentionInDays": resource.get("retentionInDays"),
            "kmsKeyId": resource.get("kmsKeyId"),
            "tags": tags,
            "tagsAll": tags,
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        self._retention(aws, id, new)
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        if not state.get("skipDestroy"):
            aws("logs", state.get("region")).delete_log_group(logGroupName=id)

    def _retention(self, aws: ProviderContext, name: str, inputs: Properties) -> None:
        logs = aws("logs", inputs.get("region"))
        if inputs.get("retentionInDays"):
            logs.put_retention_policy(logGroupName=name, retentionInDays=inputs["retentionInDays"])
        else:
            logs.delete_retention_policy(logGroupName=name)

    def _arn(self, aws: ProviderContext, name: str, properties: Properties) -> str:
        return f"arn:aws:logs:{properties.get('region') or aws.region}:{aws.account}:log-group:{name}"
