"""AWS Budgets."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from infra.local.provider.kind import Context, Kind, Properties, set_of, tag_list, tag_map

_NOTIFICATION = {
    "comparisonOperator": "ComparisonOperator",
    "notificationType": "NotificationType",
    "threshold": "Threshold",
    "thresholdType": "ThresholdType",
}
_SUBSCRIBERS = {"subscriberSnsTopicArns": "SNS", "subscriberEmailAddresses": "EMAIL"}


class Budget(Kind):
    """ministack knows no costs: a budget is never exceeded, and nobody is notified."""

    type_name = "aws:budgets/budget:Budget"
    inputs = set_of(
        "name accountId budgetType limitAmount limitUnit timeUnit costFilters notifications tags tagsAll",
    )
    replace = set_of("name accountId")
    named = ("name", 100)

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        account, name = given.get("accountId") or aws.account, given["name"]
        aws("budgets").create_budget(
            AccountId=account,
            Budget=_budget(given),
            NotificationsWithSubscribers=[
                {"Notification": _notification(n), "Subscribers": _subscribers(n)}
                for n in given.get("notifications") or []
            ],
            ResourceTags=tag_list(given),
        )
        return f"{account}:{name}", {"accountId": account, "arn": _arn(account, name)}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        account, name = id.split(":", 1)
        which = {"AccountId": account, "BudgetName": name}
        with suppress(aws("budgets").exceptions.NotFoundException):
            found = aws("budgets").describe_budget(**which)["Budget"]
            tags = tag_map(aws("budgets").list_tags_for_resource(ResourceARN=_arn(account, name))["ResourceTags"])
            limit = found.get("BudgetLimit") or {}
            return {
                "name": name,
                "accountId": account,
                "arn": _arn(account, name),
                "budgetType": found["BudgetType"],
                "limitAmount": limit.get("Amount"),
                "limitUnit": limit.get("Unit"),
                "timeUnit": found["TimeUnit"],
                "costFilters": [{"name": n, "values": v} for n, v in (found.get("CostFilters") or {}).items()],
                "notifications": [self._found(aws, which, notification) for notification in _all(aws, which)],
                "tags": tags,
                "tagsAll": tags,
            }
        return None

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        account, name = id.split(":", 1)
        which = {"AccountId": account, "BudgetName": name}
        aws("budgets").update_budget(AccountId=account, NewBudget=_budget(new))
        # The official provider too takes all notifications away and makes them again.
        for notification in _all(aws, which):
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

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        account, name = id.split(":", 1)
        aws("budgets").delete_budget(AccountId=account, BudgetName=name)

    def _found(self, aws: Context, which: dict[str, str], notification: dict[str, Any]) -> Properties:
        subscribers = aws("budgets").describe_subscribers_for_notification(**which, Notification=notification)
        return {key: notification.get(name) for key, name in _NOTIFICATION.items()} | {
            key: [s["Address"] for s in subscribers["Subscribers"] if s["SubscriptionType"] == kind]
            for key, kind in _SUBSCRIBERS.items()
        }


def _arn(account: str, name: str) -> str:
    return f"arn:aws:budgets::{account}:budget/{name}"


def _all(aws: Context, which: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws("budgets").describe_notifications_for_budget(**which)["Notifications"]
    return found


def _budget(given: Properties) -> dict[str, Any]:
    budget = {"BudgetName": given["name"], "BudgetType": given["budgetType"], "TimeUnit": given["timeUnit"]}
    if given.get("limitAmount"):
        budget["BudgetLimit"] = {"Amount": given["limitAmount"], "Unit": given["limitUnit"]}
    if given.get("costFilters"):
        budget["CostFilters"] = {cost["name"]: cost["values"] for cost in given["costFilters"]}
    return budget


def _notification(given: Properties) -> dict[str, Any]:
    return {name: given[key] for key, name in _NOTIFICATION.items()}


def _subscribers(given: Properties) -> list[dict[str, str]]:
    return [
        {"SubscriptionType": kind, "Address": address}
        for key, kind in _SUBSCRIBERS.items()
        for address in given.get(key) or []
    ]
