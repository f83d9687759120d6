"""EventBridge Scheduler: every schedule when it is due, in its own time zone, and tasks of ECS as targets.

ministack has no ECS target, takes every time for UTC, runs a one-time schedule once in the life of its name, keeps an
expression that it cannot read, and does not ask whether the schedule's role may do it. What it has is used: it parses
expressions, and delivers to SQS, SNS and Lambda.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import ecs, eventbridge, scheduler, sqs

from slipway_local.emulator.schedule_role import CANNOT_ASSUME, ScheduleRole

log = logging.getLogger("slipway.scheduler")

TICK_SECONDS = 1
MAX_RETRY_DELAY_SECONDS = 60
"""Between two attempts to start a task; the pause doubles up to this."""
DEFAULT_MAX_RETRY_ATTEMPTS = 185
DEFAULT_MAX_EVENT_AGE_SECONDS = 86400
"""What AWS takes where a schedule has no retry policy."""

Schedule = dict[str, Any]
AccountRegion = tuple[str, str]
"""Account and region."""


@dataclass
class PendingTaskStart:
    """A task to start, until it is started or given up."""

    scope: AccountRegion
    schedule: Schedule
    due: float
    next_attempt_time: float
    retries: int = 0


_last_runs: dict[tuple[str, str, str], tuple[float, float]] = {}
"""Of each schedule when it was created, which tells it from an earlier one of its name, and when it ran last."""
_pending_starts: list[PendingTaskStart] = []


def install() -> None:
    """Replaces ministack's check of all schedules; its thread still calls it."""
    scheduler._tick_schedules = run_due_schedules
    scheduler._SCHEDULE_TICK_INTERVAL = TICK_SECONDS
    scheduler._create_schedule = _wrap_put_schedule(scheduler._create_schedule)
    scheduler._update_schedule = _wrap_put_schedule(scheduler._update_schedule)


def run_due_schedules() -> None:
    """One look at all schedules, and at the tasks that are still to be started."""
    now = time.time()
    for (account, region, key), schedule in list(scheduler._schedules.all_items()):
        with request_scope(account, region):
            try:
                _check_schedule((account, region), key, schedule, now)
            except Exception:
                log.exception("schedule %s", key)
    for start in [start for start in _pending_starts if start.next_attempt_time <= now]:
        _pending_starts.remove(start)
        with request_scope(*start.scope):
            if f"{start.schedule['GroupName']}/{start.schedule['Name']}" in scheduler._schedules:
                _start_task(start, now)


def next_run_time(schedule: Schedule, last: float | None) -> float | None:
    """Returns when a schedule is due after it ran `last` (None: never); None when it is not due any more.

    What fell due before the last change is left out: nothing is made up for. A flexible time window is its beginning.
    """
    expression = schedule["ScheduleExpression"]
    zone = ZoneInfo(schedule.get("ScheduleExpressionTimezone") or "UTC")
    after: float = max(last or 0, schedule["LastModificationDate"])
    if expression.startswith("at("):
        moment = datetime.fromisoformat(expression[3:-1]).replace(tzinfo=zone).timestamp()
        return moment if moment > after else None
    first = scheduler._to_epoch(schedule.get("StartDate")) or schedule["CreationDate"]
    interval = eventbridge._parse_rate_seconds(expression)
    if interval:
        passed = (after - first) / interval
        found = first + interval * max(0, math.ceil(passed) if last is None else math.floor(passed) + 1)
    else:
        found = _next_cron_time(expression, zone, max(after, first))
    end = scheduler._to_epoch(schedule.get("EndDate"))
    return None if found is None or (end is not None and found > end) else found


def _next_cron_time(expression: str, zone: ZoneInfo, after: float) -> float | None:
    """Uses local time in the time zone; skips a time that daylight saving skips."""
    fields = eventbridge._parse_cron_fields(expression)
    shown = datetime.fromtimestamp(after, zone).replace(tzinfo=UTC)  # ministack calculates with the clock's face
    while fields and (shown := eventbridge._cron_next_fire(fields, shown)):
        moment: float = shown.replace(tzinfo=zone).timestamp()
        if datetime.fromtimestamp(moment, zone).replace(tzinfo=UTC) == shown:
            return moment
    return None


def _wrap_put_schedule(original: Callable[[str, Schedule], Any]) -> Callable[[str, Schedule], Any]:
    """Refuses an unreadable expression, which would never come due, and a role that Scheduler may not assume."""

    def put(name: str, body: Schedule) -> Any:
        expression = body.get("ScheduleExpression") or ""
        zone = body.get("ScheduleExpressionTimezone") or "UTC"
        if not _is_valid_expression(expression, zone):
            return scheduler._error(400, "ValidationException", f"Invalid Schedule Expression {expression} ({zone}).")
        role_arn = (body.get("Target") or {}).get("RoleArn")
        if role_arn and not ScheduleRole(role_arn, _group_arn(body)).is_assumable():
            return scheduler._error(400, "ValidationException", CANNOT_ASSUME)
        return original(name, body)

    return put


def _group_arn(schedule: Schedule) -> str:
    group = schedule.get("GroupName") or "default"
    return f"arn:aws:scheduler:{get_region()}:{get_account_id()}:schedule-group/{group}"


def _role(schedule: Schedule) -> ScheduleRole:
    return ScheduleRole(schedule["Target"]["RoleArn"], _group_arn(schedule))


def _is_valid_expression(expression: str, zone: str) -> bool:
    with suppress(ValueError, KeyError):
        ZoneInfo(zone)
        if expression.startswith("at("):
            return bool(datetime.fromisoformat(expression[3:-1]))
        return bool(eventbridge._parse_rate_seconds(expression) or eventbridge._parse_cron_fields(expression))
    return False


def _check_schedule(scope: AccountRegion, key: str, schedule: Schedule, now: float) -> None:
    created, last = _last_runs.get((*scope, key), (0.0, 0.0))
    known = created == schedule["CreationDate"]
    due = next_run_time(schedule, last if known else None)
    if schedule["State"] != "ENABLED" or (due is not None and due > now):
        return
    if due is not None:
        _last_runs[*scope, key] = (schedule["CreationDate"], now)
        _invoke_target(scope, schedule, due, now)
        due = next_run_time(schedule, now)
    if due is None and schedule.get("ActionAfterCompletion") == "DELETE":
        scheduler._delete_schedule(schedule["Name"], {"groupName": schedule["GroupName"]})


def _invoke_target(scope: AccountRegion, schedule: Schedule, due: float, now: float) -> None:
    target = schedule["Target"]
    if "EcsParameters" in target:
        _pending_starts.append(PendingTaskStart(scope, schedule, due, now))
        return
    denial = _role(schedule).target_denial(target["Arn"])
    if denial:
        log.warning("schedule %s: its target was not invoked: %s", schedule["Name"], denial)
        return
    account, region = scope
    event = {
        "EventId": ecs.new_uuid(),
        "Source": "aws.scheduler",
        "DetailType": "Scheduled Event",
        "Detail": "{}",
        "Time": due,
        "Resources": [schedule["Arn"]],
        "Account": account,
        "Region": region,
    }
    eventbridge._invoke_target(target, event, schedule)


def _start_task(start: PendingTaskStart, now: float) -> None:
    """Starts the task; when ECS refuses, try again later or put it into the dead-letter queue."""
    name = start.schedule["Name"]
    target = start.schedule["Target"]
    request: dict[str, Any] = target
    try:
        request = build_run_task_request(start.schedule)
        denial = _role(start.schedule).denial("ecs", "RunTask", request)
        answer = {"__type": "AccessDeniedException", "message": denial} if denial else _call_run_task(request)
    except Exception as error:
        answer = {"__type": "ValidationException", "message": str(error)}
    if "tasks" in answer:
        return
    log.warning("schedule %s: no task was started: %s", name, answer.get("message"))
    policy = target.get("RetryPolicy") or {}
    exhausted = (
        "MaximumRetryAttempts"
        if start.retries >= policy.get("MaximumRetryAttempts", DEFAULT_MAX_RETRY_ATTEMPTS)
        else "MaximumEventAgeInSeconds"
        if now - start.due >= policy.get("MaximumEventAgeInSeconds", DEFAULT_MAX_EVENT_AGE_SECONDS)
        else ""
    )
    if exhausted:
        _send_to_dead_letter_queue(start, request, answer, exhausted)
    else:
        start.next_attempt_time = now + min(2**start.retries, MAX_RETRY_DELAY_SECONDS)
        start.retries += 1
        _pending_starts.append(start)


def build_run_task_request(schedule: Schedule) -> dict[str, Any]:
    """Returns the RunTask request of a schedule: the target's parameters, with `Input` as the overrides."""
    target = schedule["Target"]
    given = _lower_first_letters(target["EcsParameters"])
    return {
        "cluster": target["Arn"],
        "taskDefinition": given.pop("taskDefinitionArn"),
        "count": given.pop("taskCount", 1),
        "startedBy": f"chronos-schedule/{schedule['Name']}"[:128],
        "overrides": json.loads(target.get("Input") or "{}"),
        **given,
    }


def _call_run_task(request: dict[str, Any]) -> dict[str, Any]:
    """RunTask's answer. ministack makes a cluster that is not there, and runs a definition that was deregistered."""
    if ecs._resolve_cluster_name(request["cluster"]) not in ecs._clusters:
        return {"__type": "ClusterNotFoundException", "message": "Cluster not found."}
    definition = ecs._task_defs.get(ecs._resolve_td_key(request["taskDefinition"]))
    if definition and definition["status"] != "ACTIVE":
        return {"__type": "ClientException", "message": "TaskDefinition is inactive"}
    _, _, body = ecs._ACTION_MAP["RunTask"](request)
    answer: dict[str, Any] = json.loads(body)
    return answer


def _lower_first_letters(value: Any) -> Any:
    """Returns the names of Scheduler's API as ECS's: the same, with a small letter first."""
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: _lower_first_letters(item) for key, item in value.items()}
    return [_lower_first_letters(item) for item in value] if isinstance(value, list) else value


def _send_to_dead_letter_queue(
    start: PendingTaskStart, request: dict[str, Any], answer: dict[str, Any], exhausted: str
) -> None:
    target = start.schedule["Target"]
    queue = sqs._queue_by_arn((target.get("DeadLetterConfig") or {}).get("Arn", ""))
    if not queue:
        log.error("schedule %s: given up, and there is no dead-letter queue", start.schedule["Name"])
        return
    denial = _role(start.schedule).target_denial(queue["attributes"]["QueueArn"])
    if denial:
        log.error("schedule %s: given up, and no dead letter was written: %s", start.schedule["Name"], denial)
        return
    told = {
        "ERROR_CODE": answer.get("__type", ""),
        "ERROR_MESSAGE": answer.get("message", ""),
        "EXHAUSTED_RETRY_CONDITION": exhausted,
        "RETRY_ATTEMPTS": str(start.retries),
        "SCHEDULED_TIME": datetime.fromtimestamp(start.due, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "SCHEDULE_ARN": start.schedule["Arn"],
        "TARGET_ARN": target["Arn"],
    }
    attributes = {name: {"DataType": "String", "StringValue": text} for name, text in told.items() if text}
    message = {"QueueUrl": queue["url"], "MessageBody": json.dumps(request), "MessageAttributes": attributes}
    sqs._act_send_message(message, queue["url"])
