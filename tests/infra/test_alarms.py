"""Alarms: what they watch, whom they tell, what they cost."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from slipway.components.alarms import Alarms, AlarmsArgs
from slipway.components.budget import MonthlyBudget, MonthlyBudgetArgs
from slipway.components.cloudwatch_alarm import Alarm, running_tasks_alarms
from slipway.components.outputs import ClusterOutputs
from tests.infra.recorder import Registered, of, record

CPU = Alarm(
    "cpu", "busy", "AWS/RDS", "CPUUtilization", {"DBInstanceIdentifier": "db"}, greater_than=80, evaluation_periods=15
)
LATENCY = Alarm("latency", "slow", "AWS/ApplicationELB", "TargetResponseTime", {}, statistic="p99", greater_than=1)
SHARE = Alarm(
    "errors", "5xx", "AWS/ApplicationELB", "5XX", {}, statistic="Sum", greater_than=1, denominator_metric="RequestCount"
)


def made(*watched: Alarm, email: str = "") -> list[Registered]:
    return record(lambda: Alarms("x", AlarmsArgs("arn:key", watched, email)))


def alarm(*watched: Alarm) -> dict[str, Any]:
    (found,) = of(made(*watched), "aws:cloudwatch/metricAlarm:MetricAlarm")
    return found.inputs


def missing_tasks(counts: bool = True, least: int = 2) -> list[Registered]:
    def build() -> None:
        cluster = ClusterOutputs("arn:cluster", "main", counts)
        Alarms("x", AlarmsArgs("arn:key", running_tasks_alarms("web", cluster, "s", least)))

    return of(record(build), "aws:cloudwatch/metricAlarm:MetricAlarm")


def test_missing_tasks_are_noticed_where_somebody_counts() -> None:
    assert [a.inputs["dimensions"] for a in missing_tasks()] == [{"ClusterName": "main", "ServiceName": "s"}]
    assert missing_tasks(counts=False) == missing_tasks(least=0) == []


def test_over_and_under_are_the_two_directions() -> None:
    greater_than, less_than = alarm(CPU), missing_tasks()[0].inputs
    assert (greater_than["comparisonOperator"], greater_than["threshold"]) == ("GreaterThanThreshold", 80)
    assert (less_than["comparisonOperator"], less_than["threshold"]) == ("LessThanThreshold", 2)


def test_it_has_to_be_wrong_for_so_many_minutes_in_a_row() -> None:
    given = alarm(CPU)
    assert (given["period"], given["evaluationPeriods"], given["datapointsToAlarm"]) == (60, 15, 15)


def test_a_metric_that_comes_once_a_day_is_looked_at_once_a_day() -> None:
    given = alarm(replace(CPU, evaluation_periods=1, period_seconds=86400))
    assert (given["period"], given["evaluationPeriods"]) == (86400, 1)


def test_silence_is_wrong_where_something_should_always_report() -> None:
    assert alarm(CPU)["treatMissingData"] == "notBreaching"
    assert missing_tasks()[0].inputs["treatMissingData"] == "breaching"


def test_a_percentile_is_another_input_than_an_average() -> None:
    assert (alarm(LATENCY)["extendedStatistic"], "statistic" in alarm(LATENCY)) == ("p99", False)
    assert (alarm(CPU)["statistic"], "extendedStatistic" in alarm(CPU)) == ("Average", False)


def test_a_share_is_two_metrics_and_an_expression_that_alone_is_returned() -> None:
    queries = alarm(SHARE)["metricQueries"]
    assert [query["id"] for query in queries if query.get("returnData")] == ["share"]
    assert [query["metric"]["metricName"] for query in queries if "metric" in query] == ["5XX", "RequestCount"]


def test_one_encrypted_topic_takes_alarms_of_this_account_alone() -> None:
    found = made(CPU, email="ops@acme.test")
    (topic,) = of(found, "aws:sns/topic:Topic")
    assert topic.inputs["kmsMasterKeyId"] == "arn:key"  # SNS.1
    (policy,) = of(found, "aws:sns/topicPolicy:TopicPolicy")
    (statement,) = json.loads(policy.inputs["policy"])["Statement"]
    assert statement["Principal"] == {"Service": ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    (mail,) = of(found, "aws:sns/topicSubscription:TopicSubscription")
    assert (mail.inputs["protocol"], mail.inputs["endpoint"]) == ("email", "ops@acme.test")
    assert of(made(CPU), "aws:sns/topicSubscription:TopicSubscription") == []


def test_the_budget_counts_this_stack_and_tells_the_same_topic() -> None:
    (budget,) = of(
        record(lambda: MonthlyBudget("x", MonthlyBudgetArgs(120, "shop-dev", "arn:topic"))), "aws:budgets/budget:Budget"
    )
    assert (budget.inputs["limitAmount"], budget.inputs["limitUnit"], budget.inputs["timeUnit"]) == (
        "120",
        "USD",
        "MONTHLY",
    )
    assert budget.inputs["costFilters"] == [{"name": "TagKeyValue", "values": ["user:stack$shop-dev"]}]
    assert [n["subscriberSnsTopicArns"] for n in budget.inputs["notifications"]] == [["arn:topic"], ["arn:topic"]]


def test_a_task_by_the_clock_that_fails_is_told_of() -> None:
    """Also one that never started; a deployment's tasks, which are of other groups, are not its business."""
    found = record(
        lambda: Alarms(
            "x", AlarmsArgs("arn:key", [], scheduled_task_families={"tidy": "x-tidy"}, cluster_arn="arn:cluster")
        )
    )
    (rule,) = of(found, "aws:cloudwatch/eventRule:EventRule")
    (target,) = of(found, "aws:cloudwatch/eventTarget:EventTarget")
    detail = json.loads(rule.inputs["eventPattern"])["detail"]
    assert (detail["clusterArn"], detail["group"], detail["lastStatus"]) == (
        ["arn:cluster"],
        ["family:x-tidy"],
        ["STOPPED"],
    )
    assert detail["$or"] == [
        {"containers": {"name": ["tidy"], "exitCode": [{"anything-but": 0}]}},
        {"stopCode": ["TaskFailedToStart"]},
    ]
    assert (target.inputs["rule"], target.inputs["arn"]) == ("x-tidy-failed", "arn:aws:mock:::x-alarms")
    (policy,) = of(found, "aws:sns/topicPolicy:TopicPolicy")
    principals = [s["Principal"]["Service"] for s in json.loads(policy.inputs["policy"])["Statement"]]
    assert "events.amazonaws.com" in principals
