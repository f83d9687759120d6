"""Alarms, topics, schedules, scaling, budgets and cache parameters under the real engine, in one program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.local.engine_stack import Stack

pytestmark = pytest.mark.e2e
Aws = Callable[[str], Any]

PROGRAM = """
import json

topic = aws.sns.Topic("alerts", display_name="Alerts", tags={"kind": "alerts"})
allow = topic.arn.apply(lambda arn: json.dumps({"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Principal": {"Service": "budgets.amazonaws.com"}, "Action": "sns:Publish", "Resource": arn}]}))
aws.sns.TopicPolicy("alerts", arn=topic.arn, policy=allow)
aws.sns.TopicSubscription("mail", topic=topic.arn, protocol="email", endpoint="team@example.org")

aws.cloudwatch.MetricAlarm(
    "latency", name="latency", alarm_description="p95 above a second", namespace="AWS/ApplicationELB",
    metric_name="TargetResponseTime", extended_statistic="p95", period=60, evaluation_periods=5, datapoints_to_alarm=3,
    threshold=1.5, comparison_operator="GreaterThanThreshold", treat_missing_data="notBreaching",
    dimensions={"LoadBalancer": "app/one/two"}, alarm_actions=[topic.arn], ok_actions=[topic.arn],
    tags={"kind": "latency"})
aws.cloudwatch.MetricAlarm(
    "errors", name="errors", evaluation_periods=1, threshold=PERCENT, comparison_operator="GreaterThanThreshold",
    alarm_actions=[topic.arn],
    metric_queries=[
        {"id": "share", "expression": "100 * failed", "label": "5xx in %", "return_data": True},
        {"id": "failed", "metric": {"namespace": "AWS/ApplicationELB", "metric_name": "HTTPCode_Target_5XX_Count",
                                    "stat": "Sum", "period": 60, "dimensions": {"LoadBalancer": "app/one/two"}}}])

elsewhere = aws.kms.Key("elsewhere", region="eu-west-1")
there = aws.backup.Vault("there", region="eu-west-1", kms_key_arn=elsewhere.arn)
here = aws.backup.Vault("here", kms_key_arn=aws.kms.Key("here").arn)
copies = aws.backup.Plan("copies", rules=[{
    "rule_name": "daily", "target_vault_name": here.name, "schedule": "cron(0 6 * * ? *)", "start_window": 60,
    "completion_window": 720, "lifecycle": {"delete_after": 2},
    "copy_actions": [{"destination_vault_arn": there.arn, "lifecycle": {"delete_after": 35}}]}])
aws.backup.Selection("chosen", plan_id=copies.id, iam_role_arn="arn:aws:iam::000000000000:role/backup",
                     resources=["arn:aws:rds:us-east-1:000000000000:db:one"])

queue = aws.sqs.Queue("lost")
starter = aws.iam.Role("scheduler", assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}]}))
aws.scheduler.Schedule(
    "nightly", name="nightly", description="the clean-up", schedule_expression="cron(30 3 * * ? *)",
    schedule_expression_timezone="Europe/Berlin", state="DISABLED",
    flexible_time_window={"mode": "FLEXIBLE", "maximum_window_in_minutes": 15},
    target={
        "arn": "arn:aws:ecs:us-east-1:000000000000:cluster/main",
        "role_arn": starter.arn,
        "input": json.dumps({"containerOverrides": [{"name": "job", "command": ["clean"]}]}),
        "ecs_parameters": {
            "task_definition_arn": "arn:aws:ecs:us-east-1:000000000000:task-definition/job:1", "task_count": 1,
            "launch_type": "FARGATE", "platform_version": "LATEST", "propagate_tags": "TASK_DEFINITION",
            "enable_ecs_managed_tags": True,
            "network_configuration": {"subnets": ["subnet-1"], "security_groups": ["sg-1"], "assign_public_ip": False}},
        "retry_policy": {"maximum_event_age_in_seconds": 3600, "maximum_retry_attempts": 3},
        "dead_letter_config": {"arn": queue.arn}})

target = aws.appautoscaling.Target(
    "web", min_capacity=1, max_capacity=4, resource_id="service/main/web",
    scalable_dimension="ecs:service:DesiredCount", service_namespace="ecs")
aws.appautoscaling.Policy(
    "cpu", policy_type="TargetTrackingScaling", resource_id=target.resource_id,
    scalable_dimension=target.scalable_dimension, service_namespace=target.service_namespace,
    target_tracking_scaling_policy_configuration={
        "target_value": 60, "scale_in_cooldown": 120,
        "predefined_metric_specification": {"predefined_metric_type": "ECSServiceAverageCPUUtilization"}})
aws.appautoscaling.Policy(
    "backlog", policy_type="TargetTrackingScaling", resource_id=target.resource_id,
    scalable_dimension=target.scalable_dimension, service_namespace=target.service_namespace,
    target_tracking_scaling_policy_configuration={
        "target_value": 10,
        "customized_metric_specification": {"metrics": [
            {"id": "m", "return_data": False, "metric_stat": {"stat": "Sum", "metric": {
                "namespace": "AWS/SQS", "metric_name": "ApproximateNumberOfMessagesVisible",
                "dimensions": [{"name": "QueueName", "value": "jobs"}]}}},
            {"id": "e", "expression": "m / 2", "return_data": True}]}})

aws.budgets.Budget(
    "monthly", name="monthly", budget_type="COST", limit_amount=LIMIT, limit_unit="USD", time_unit="MONTHLY",
    cost_filters=[{"name": "TagKeyValue", "values": ["user:project$slipway"]}],
    notifications=[
        {"comparison_operator": "GREATER_THAN", "threshold": 80, "threshold_type": "PERCENTAGE",
         "notification_type": "ACTUAL", "subscriber_sns_topic_arns": [topic.arn]},
        {"comparison_operator": "GREATER_THAN", "threshold": 100, "threshold_type": "PERCENTAGE",
         "notification_type": "FORECASTED", "subscriber_email_addresses": ["team@example.org"]}],
    tags={"kind": "costs"})
aws.elasticache.ParameterGroup("cache", name="cache", family="valkey8", parameters=PARAMETERS)
"""
SETTINGS = {
    "PERCENT": 5,
    "LIMIT": "100",
    "PARAMETERS": [
        {"name": "maxmemory-policy", "value": "allkeys-lru"},
        {"name": "notify-keyspace-events", "value": "Ex"},
    ],
}


def program(**changed: Any) -> str:
    settings = "\n".join(f"{name} = {value!r}" for name, value in (SETTINGS | changed).items())
    return f"{settings}\n{PROGRAM}"


def kept(aws: Aws) -> dict[str, Any]:
    """What the local AWS holds of the program, by kind; nothing but a name where that says enough."""
    groups = aws("elasticache").describe_cache_parameter_groups()["CacheParameterGroups"]
    return {
        "topics": aws("sns").list_topics()["Topics"],
        "subscriptions": aws("sns").list_subscriptions()["Subscriptions"],
        "alarms": [alarm["AlarmName"] for alarm in aws("cloudwatch").describe_alarms()["MetricAlarms"]],
        "schedules": aws("scheduler").list_schedules()["Schedules"],
        "vaults": aws("backup").list_backup_vaults()["BackupVaultList"],
        "plans": aws("backup").list_backup_plans()["BackupPlansList"],
        "budgets": aws("budgets").describe_budgets(AccountId="000000000000").get("Budgets", []),
        "groups": [group for group in groups if not group["CacheParameterGroupName"].startswith("default.")],
    }


def test_the_types_for_operating_come_up_stay_notice_changes_by_hand_and_go(stack: Stack, aws: Aws) -> None:
    stack.program(program())
    stack.run("config", "set", "aws:defaultTags", '{"tags": {"project": "slipway"}}', "--stack", "probe")
    stack.up()
    assert all(kept(aws).values())
    stack.run("preview", "--refresh", "--expect-no-changes", "--stack", "probe")
    topic = kept(aws)["topics"][0]["TopicArn"]
    tags = {tag["Key"]: tag["Value"] for tag in aws("sns").list_tags_for_resource(ResourceArn=topic)["Tags"]}
    assert tags == {"kind": "alerts", "project": "slipway"}

    alarm = aws("cloudwatch").describe_alarms(AlarmNames=["latency"])["MetricAlarms"][0]
    asked = {key: alarm[key] for key in ("Namespace", "MetricName", "ExtendedStatistic", "Period", "Dimensions")}
    how = {"EvaluationPeriods": 5, "ComparisonOperator": "GreaterThanThreshold"}
    aws("cloudwatch").put_metric_alarm(AlarmName="latency", Threshold=9, **asked, **how)
    errors = aws("cloudwatch").describe_alarms(AlarmNames=["errors"])["MetricAlarms"][0]
    errors["Metrics"][0]["Expression"] = "10 * failed"
    same = {key: errors[key] for key in ("AlarmName", "Threshold", "EvaluationPeriods", "AlarmActions", "Metrics")}
    aws("cloudwatch").put_metric_alarm(**same, ComparisonOperator=how["ComparisonOperator"])
    schedule = aws("scheduler").get_schedule(Name="nightly")
    kept_fields = ("Name", "FlexibleTimeWindow", "Target", "State", "ScheduleExpressionTimezone")
    aws("scheduler").update_schedule(
        **{key: schedule[key] for key in kept_fields}, ScheduleExpression="rate(1 day)", Description="the clean-up"
    )
    preview = stack.run("preview", "--refresh", "--diff", "--stack", "probe")
    for words in ("threshold", "alarmActions", "scheduleExpression", "10 * failed"):
        assert words in preview
    stack.run("up", "--yes", "--skip-preview", "--refresh", "--stack", "probe")
    alarm = aws("cloudwatch").describe_alarms(AlarmNames=["latency"])["MetricAlarms"][0]
    assert (alarm["Threshold"], len(alarm["AlarmActions"])) == (1.5, 1)
    assert aws("scheduler").get_schedule(Name="nightly")["ScheduleExpression"] == "cron(30 3 * * ? *)"
    stack.run("preview", "--refresh", "--expect-no-changes", "--stack", "probe")

    stack.run("destroy", "--yes", "--skip-preview", "--stack", "probe")
    assert not any(kept(aws).values())


def test_a_change_of_the_program_is_made_in_place(stack: Stack, aws: Aws) -> None:
    stack.program(program())
    stack.up()
    changed = [{"name": "maxmemory-policy", "value": "noeviction"}]
    stack.program(program(PERCENT=7, LIMIT="250", PARAMETERS=changed))
    assert "3 updated" in stack.up()
    assert aws("cloudwatch").describe_alarms(AlarmNames=["errors"])["MetricAlarms"][0]["Threshold"] == 7
    budget = {"AccountId": "000000000000", "BudgetName": "monthly"}
    assert aws("budgets").describe_budget(**budget)["Budget"]["BudgetLimit"]["Amount"] == "250"
    assert len(aws("budgets").describe_notifications_for_budget(**budget)["Notifications"]) == 2
    stack.run("preview", "--refresh", "--expect-no-changes", "--stack", "probe")
