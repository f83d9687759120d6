"""SQS."""

from __future__ import annotations

from typing import Any, ClassVar

from infra.local.provider.kind import Context, Kind, Properties, set_of

_ATTRIBUTES = {
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "redrivePolicy": "RedrivePolicy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
}


class Queue(Kind):
    type_name = "aws:sqs/queue:Queue"
    inputs = set_of("name tags tagsAll", *_ATTRIBUTES)
    replace = set_of("name")
    named = ("name", 80)
    defaults: ClassVar = {"visibilityTimeoutSeconds": 30, "messageRetentionSeconds": 345600}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        url = aws("sqs").create_queue(
            QueueName=given["name"], Attributes=_attributes(given), tags=given.get("tagsAll") or {}
        )["QueueUrl"]
        return url, {"url": url, "arn": f"arn:aws:sqs:{aws.region}:{aws.account}:{given['name']}"}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = aws("sqs").get_queue_attributes(QueueUrl=id, AttributeNames=["All"])["Attributes"]
        values: Properties = {"url": id, "arn": found["QueueArn"], "name": id.rsplit("/", 1)[-1]}
        for key, name in _ATTRIBUTES.items():
            if name in found and key != "sqsManagedSseEnabled":
                values[key] = int(found[name]) if found[name].isdigit() else found[name]
        return values

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        aws("sqs").set_queue_attributes(QueueUrl=id, Attributes=_attributes(new))
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("sqs").delete_queue(QueueUrl=id)


def _attributes(given: Properties) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, name in _ATTRIBUTES.items():
        value: Any = given.get(key)
        if value is not None:
            found[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return found
