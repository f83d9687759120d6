"""SNS: topics, their policies and subscriptions."""

from __future__ import annotations

import json
from contextlib import suppress

from slipway_local.provider.resource_type import (
    Properties,
    ProviderContext,
    ResourceType,
    property_names,
    tag_list,
    tag_map,
)

_ATTRIBUTES = {"displayName": "DisplayName", "kmsMasterKeyId": "KmsMasterKeyId", "policy": "Policy"}


class SnsTopicResource(ResourceType):
    """`policy` is compared only where the program gives it: a TopicPolicy may own it."""

    type_name = "aws:sns/topic:Topic"
    inputs = property_names("name tags tagsAll", *_ATTRIBUTES)
    force_replacement = property_names("name")
    name_property = ("name", 256)

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        arn = aws("sns").create_topic(
            Name=inputs["name"],
            Attributes={name: inputs[key] for key, name in _ATTRIBUTES.items() if inputs.get(key)},
            Tags=tag_list(inputs),
        )["TopicArn"]
        return arn, {"arn": arn, "owner": aws.account}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        with suppress(aws("sns").exceptions.NotFoundException):
            resource = aws("sns").get_topic_attributes(TopicArn=id)["Attributes"]
            tags = tag_map(aws("sns").list_tags_for_resource(ResourceArn=id)["Tags"])
            values = {key: resource.get(name) for key, name in _ATTRIBUTES.items() if key != "policy" or state.get(key)}
            return values | {
                "name": id.rsplit(":", 1)[-1],
                "arn": id,
                "owner": resource["Owner"],
                "tags": tags,
                "tagsAll": tags,
            }
        return None

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        for key, name in _ATTRIBUTES.items():
            # As with the official provider, a policy that the program no longer gives stays as it is.
            if old.get(key) != new.get(key) and (key != "policy" or key in new):
                aws("sns").set_topic_attributes(TopicArn=id, AttributeName=name, AttributeValue=new.get(key) or "")
        gone = sorted(set(old.get("tagsAll") or {}) - set(new.get("tagsAll") or {}))
        if gone:
            aws("sns").untag_resource(ResourceArn=id, TagKeys=gone)
        if new.get("tagsAll"):
            aws("sns").tag_resource(ResourceArn=id, Tags=tag_list(new))
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("sns").delete_topic(TopicArn=id)


class TopicPolicyResource(ResourceType):
    """Deleted, it leaves the policy that every new topic has."""

    type_name = "aws:sns/topicPolicy:TopicPolicy"
    inputs = property_names("arn policy")
    force_replacement = property_names("arn")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        self._set(aws, inputs["arn"], inputs["policy"])
        return inputs["arn"], {"owner": aws.account}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        with suppress(aws("sns").exceptions.NotFoundException):
            resource = aws("sns").get_topic_attributes(TopicArn=id)["Attributes"]
            return {"arn": id, "policy": resource.get("Policy"), "owner": resource["Owner"]}
        return None

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        self._set(aws, id, new["policy"])
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        statement = {
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": ["SNS:Publish", "SNS:Subscribe", "SNS:Receive"],
            "Resource": id,
            "Condition": {"StringEquals": {"AWS:SourceOwner": aws.account}},
        }
        default = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
        self._set(aws, id, json.dumps(default))

    def _set(self, aws: ProviderContext, arn: str, policy: str) -> None:
        aws("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)


class TopicSubscriptionResource(ResourceType):
    """Does not wait for the confirmation of an e-mail, like the official provider.

    On AWS `pendingConfirmation` is true until the address's owner follows the link; ministack confirms at once.
    """

    type_name = "aws:sns/topicSubscription:TopicSubscription"
    inputs = property_names("topic protocol endpoint rawMessageDelivery")
    force_replacement = property_names("topic protocol endpoint")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        arn = aws("sns").subscribe(
            TopicArn=inputs["topic"],
            Protocol=inputs["protocol"],
            Endpoint=inputs["endpoint"],
            Attributes={"RawMessageDelivery": "true"} if inputs.get("rawMessageDelivery") else {},
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        if not arn.startswith("arn:"):  # ministack keeps back the ARN of an https endpoint, though it was asked for it
            listed = aws("sns").list_subscriptions_by_topic(TopicArn=inputs["topic"])["Subscriptions"]
            arn = next(s["SubscriptionArn"] for s in listed if s["Endpoint"] == inputs["endpoint"])
        resource = self.read(aws, arn, {}) or {}
        return arn, {key: resource[key] for key in resource if key not in self.inputs}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        with suppress(aws("sns").exceptions.NotFoundException):
            resource = aws("sns").get_subscription_attributes(SubscriptionArn=id)["Attributes"]
            return {
                "arn": id,
                "topic": resource["TopicArn"],
                "protocol": resource["Protocol"],
                "endpoint": resource["Endpoint"],
                "rawMessageDelivery": resource["RawMessageDelivery"] == "true",
                "pendingConfirmation": resource["PendingConfirmation"] == "true",
                "ownerId": resource["Owner"],
            }
        return None

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        raw = "true" if new.get("rawMessageDelivery") else "false"
        aws("sns").set_subscription_attributes(
            SubscriptionArn=id, AttributeName="RawMessageDelivery", AttributeValue=raw
        )
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("sns").unsubscribe(SubscriptionArn=id)
