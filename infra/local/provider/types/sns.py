"""SNS: topics, their policies and subscriptions."""

from __future__ import annotations

import json
from contextlib import suppress

from infra.local.provider.kind import Context, Kind, Properties, set_of, tag_list, tag_map

_ATTRIBUTES = {"displayName": "DisplayName", "kmsMasterKeyId": "KmsMasterKeyId", "policy": "Policy"}


class Topic(Kind):
    """`policy` is compared only where the program gives it: a TopicPolicy may own it."""

    type_name = "aws:sns/topic:Topic"
    inputs = set_of("name tags tagsAll", *_ATTRIBUTES)
    replace = set_of("name")
    named = ("name", 256)

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        arn = aws("sns").create_topic(
            Name=given["name"],
            Attributes={name: given[key] for key, name in _ATTRIBUTES.items() if given.get(key)},
            Tags=tag_list(given),
        )["TopicArn"]
        return arn, {"arn": arn, "owner": aws.account}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        with suppress(aws("sns").exceptions.NotFoundException):
            found = aws("sns").get_topic_attributes(TopicArn=id)["Attributes"]
            tags = tag_map(aws("sns").list_tags_for_resource(ResourceArn=id)["Tags"])
            values = {key: found.get(name) for key, name in _ATTRIBUTES.items() if key != "policy" or known.get(key)}
            return values | {
                "name": id.rsplit(":", 1)[-1],
                "arn": id,
                "owner": found["Owner"],
                "tags": tags,
                "tagsAll": tags,
            }
        return None

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
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

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("sns").delete_topic(TopicArn=id)


class TopicPolicy(Kind):
    """Deleted, it leaves the policy that every new topic has."""

    type_name = "aws:sns/topicPolicy:TopicPolicy"
    inputs = set_of("arn policy")
    replace = set_of("arn")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        self._set(aws, given["arn"], given["policy"])
        return given["arn"], {"owner": aws.account}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        with suppress(aws("sns").exceptions.NotFoundException):
            found = aws("sns").get_topic_attributes(TopicArn=id)["Attributes"]
            return {"arn": id, "policy": found.get("Policy"), "owner": found["Owner"]}
        return None

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        self._set(aws, id, new["policy"])
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
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

    def _set(self, aws: Context, arn: str, policy: str) -> None:
        aws("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)


class TopicSubscription(Kind):
    """Nobody waits for an e-mail's confirmation, as with the official provider.

    On AWS `pendingConfirmation` is true until the address's owner follows the link; ministack confirms at once.
    """

    type_name = "aws:sns/topicSubscription:TopicSubscription"
    inputs = set_of("topic protocol endpoint rawMessageDelivery")
    replace = set_of("topic protocol endpoint")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        arn = aws("sns").subscribe(
            TopicArn=given["topic"],
            Protocol=given["protocol"],
            Endpoint=given["endpoint"],
            Attributes={"RawMessageDelivery": "true"} if given.get("rawMessageDelivery") else {},
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        if not arn.startswith("arn:"):  # ministack keeps back the ARN of an https endpoint, though it was asked for it
            listed = aws("sns").list_subscriptions_by_topic(TopicArn=given["topic"])["Subscriptions"]
            arn = next(s["SubscriptionArn"] for s in listed if s["Endpoint"] == given["endpoint"])
        found = self.read(aws, arn, {}) or {}
        return arn, {key: found[key] for key in found if key not in self.inputs}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        with suppress(aws("sns").exceptions.NotFoundException):
            found = aws("sns").get_subscription_attributes(SubscriptionArn=id)["Attributes"]
            return {
                "arn": id,
                "topic": found["TopicArn"],
                "protocol": found["Protocol"],
                "endpoint": found["Endpoint"],
                "rawMessageDelivery": found["RawMessageDelivery"] == "true",
                "pendingConfirmation": found["PendingConfirmation"] == "true",
                "ownerId": found["Owner"],
            }
        return None

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        raw = "true" if new.get("rawMessageDelivery") else "false"
        aws("sns").set_subscription_attributes(
            SubscriptionArn=id, AttributeName="RawMessageDelivery", AttributeValue=raw
        )
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("sns").unsubscribe(SubscriptionArn=id)
