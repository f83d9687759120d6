"""AWS Budgets."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from slipway_local.provider.resource_type import (
    Properties,
    ProviderContext,
    ResourceType,
    property_names,
    tag_list,
    tag_map,
)

_NOTIFICATION = {
    "comparisonOperator": "ComparisonOperator",
    "notificationType": "NotificationType",
    "threshold": "Threshold",
    "thresholdType": "ThresholdType",
}
_SUBSCRIBERS = {"subscriberSnsTopicArns": "SNS", "subscriberEmailAddresses": "EMAIL"}


class BudgetResource(ResourceType):
    """ministack has no costs: a budget is never exceeded, and sends no notification."""

    type_name = "aws:budgets/budget:Budget"
    inputs = property_names(
        "name accountId budgetType limitAmount limitUnit timeUnit costFilters notifications tags tagsAll",
    )
    force_replacement = property_names("name accountId")
    name_property = ("name", 100)

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        account = inputs.get("accountId") or aws.account
        name = inputs["name"]
        aws("budgets").create_budget(
            AccountId=account,
            Budget=_budget(inputs),
            NotificationsWithSubscribers=[
                {"Notification": _notification(n), "Subscribers": _subscribers(n)}
                for n in inputs.get("notifications") or []
            ],
            ResourceTags=tag_list(inputs),
        )
        return f"{account}:{name}", {"accountId": account, "arn": _arn(account, name)}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        account, name = id.split(":", 1)
        which = {"AccountId": account, "BudgetName": name}
        with suppress(aws("budgets").exceptions.NotFoundException):
            resource = aws("budgets").describe_budget(**which)["Budget"]
            tags = tag_map(aws("budgets").list_tags_for_resource(ResourceARN=_arn(account, name))["ResourceTags"])
            limit = resource.get("BudgetLimit") or {}
            return {
                "name": name,
                "accountId": account,
                "arn": _arn(account, name),
                "budgetType": resource["BudgetType"],
                "limitAmount": limit.get("Amount"),
                "limitUnit": limit.get("Unit"),
                "timeUnit": resource["TimeUnit"],
                "costFilters": [{"name": n, "values": v} for n, v in (resource.get("CostFilters") or {}).items()],
                "notifications": [
                    self._found(aws, which, notification) for notification in _list_notifications(aws, which)
                ],
                "tags": tags,
                "tagsAll": tags,
            }
        return None

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        account, name = id.split(":", 1)
        which = {"AccountId": account, "BudgetName": name}
        aws("budgets").update_budget(AccountId=account, NewBudget=_budget(new))
        # The official provider too takes all notifications away and makes them again.
        for notification in _list_notifications(aws, which):
            aws("budgets").delete_notification(**which, Notification=notification)
        for wanted in new.get("notifications") or []:
            aws("budgets").create_notification(
                **which, Notification=_notification(wanted), Subscribers=_subscribers(wanted)
            )
        gone = sorted(set(old.get("tagsAll") or {}) - set(new.get("tagsAll") or {}))
        if gone:
            aws("budgets").untag_resource(ResourceARN=_arn(account, name), ResourceTagKeys=gone)
        if new.get("tagsAll"):
            aws("budgets").tag_resource(ResourceARN=_arn(account, name), ResourceTags=tag_list(new))
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        account, name = id.split(":", 1)
        aws("budgets").delete_budget(AccountId=account, BudgetName=name)

    def _found(self, aws: ProviderContext, which: dict[str, str], notification: dict[str, Any]) -> Properties:
        subscribers = aws("budgets").describe_subscribers_for_notification(**which, Notification=notification)
        return {key: notification.get(name) for key, name in _NOTIFICATION.items()} | {
            key: [s["Address"] for s in subscribers["Subscribers"] if s["SubscriptionType"] == kind]
            for key, kind in _SUBSCRIBERS.items()
        }


def _arn(account: str, name: str) -> str:
    return f"arn:aws:budgets::{account}:budget/{name}"


def _list_notifications(aws: ProviderContext, which: dict[str, str]) -> list[dict[str, Any]]:
    resource: list[dict[str, Any]] = aws("budgets").describe_notifications_for_budget(**which)["Notifications"]
    return resource


def _budget(inputs: Properties) -> dict[str, Any]:
    budget = {"BudgetName": inputs["name"], "BudgetType": inputs["budgetType"], "TimeUnit": inputs["timeUnit"]}
    if inputs.get("limitAmount"):
        budget["BudgetLimit"] = {"Amount": inputs["limitAmount"], "Unit": inputs["limitUnit"]}
    if inputs.get("costFilters"):
        budget["CostFilters"] = {cost["name"]: cost["values"] for cost in inputs["costFilters"]}
    return budget


def _notification(inputs: Properties) -> dict[str, Any]:
    return {name: inputs[key] for key, name in _NOTIFICATION.items()}


def _subscribers(inputs: Properties) -> list[dict[str, str]]:
    return [
        {"SubscriptionType": kind, "Address": address}
        for key, kind in _SUBSCRIBERS.items()
        for address in inputs.get(key) or []
    ]
