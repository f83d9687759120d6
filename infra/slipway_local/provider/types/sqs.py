"""SQS."""

from __future__ import annotations

from typing import Any, ClassVar

from slipway_local.provider.resource_type import Properties, ProviderContext, ResourceType, property_names

_ATTRIBUTES = {
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "redrivePolicy": "RedrivePolicy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
}


class SqsQueueResource(ResourceType):
    type_name = "aws:sqs/queue:Queue"
    inputs = property_names("name tags tagsAll", *_ATTRIBUTES)
    force_replacement = property_names("name")
    name_property = ("name", 80)
    defaults: ClassVar = {"visibilityTimeoutSeconds": 30, "messageRetentionSeconds": 345600}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        url = aws("sqs").create_queue(
            QueueName=inputs["name"], Attributes=_attributes(inputs), tags=inputs.get("tagsAll") or {}
        )["QueueUrl"]
        return url, {"url": url, "arn": f"arn:aws:sqs:{aws.region}:{aws.account}:{inputs['name']}"}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        resource = aws("sqs").get_queue_attributes(QueueUrl=id, AttributeNames=["All"])["Attributes"]
        values: Properties = {"url": id, "arn": resource["QueueArn"], "name": id.rsplit("/", 1)[-1]}
        for key, name in _ATTRIBUTES.items():
            if name in resource and key != "sqsManagedSseEnabled":
                values[key] = int(resource[name]) if resource[name].isdigit() else resource[name]
        return values

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        # Only what differs, as the official provider does: the program itself changes the visibility time-out.
        changed = _attributes({key: value for key, value in new.items() if value != old.get(key)})
        if changed:
            aws("sqs").set_queue_attributes(QueueUrl=id, Attributes=changed)
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("sqs").delete_queue(QueueUrl=id)


def _attributes(inputs: Properties) -> dict[str, str]:
    resource: dict[str, str] = {}
    for key, name in _ATTRIBUTES.items():
        value: Any = inputs.get(key)
        if value is not None:
            resource[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return resource
