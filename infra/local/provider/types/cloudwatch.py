"""CloudWatch: alarms."""

from __future__ import annotations

from typing import Any, ClassVar

from infra.local.provider.kind import Context, Kind, Properties, set_of, tag_list, tag_map

_FIELDS = {
    "alarmDescription": "AlarmDescription",
    "comparisonOperator": "ComparisonOperator",
    "evaluationPeriods": "EvaluationPeriods",
    "datapointsToAlarm": "DatapointsToAlarm",
    "threshold": "Threshold",
    "treatMissingData": "TreatMissingData",
    "actionsEnabled": "ActionsEnabled",
    "alarmActions": "AlarmActions",
    "okActions": "OKActions",
}
_METRIC = {
    "namespace": "Namespace",
    "metricName": "MetricName",
    "statistic": "Statistic",
    "extendedStatistic": "ExtendedStatistic",
    "period": "Period",
}


class MetricAlarm(Kind):
    """An alarm on a metric, or on an expression over several.

    ministack computes no expression: such an alarm never changes state.
    """

    type_name = "aws:cloudwatch/metricAlarm:MetricAlarm"
    inputs = set_of("name dimensions metricQueries tags tagsAll", *_FIELDS, *_METRIC)
    replace = set_of("name")
    named = ("name", 255)
    defaults: ClassVar = {"actionsEnabled": True, "treatMissingData": "missing"}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        name = given["name"]
        self._put(aws, given, Tags=tag_list(given))
        return name, {"arn": _arn(aws, name)}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        alarms = aws("cloudwatch").describe_alarms(AlarmNames=[id])["MetricAlarms"]
        if not alarms:
            return None
        found = alarms[0]
        arn = found["AlarmArn"]
        tags = tag_map(aws("cloudwatch").list_tags_for_resource(ResourceARN=arn)["Tags"])
        return {
            "name": id,
            "arn": arn,
            "tags": tags,
            "tagsAll": tags,
            **{key: found.get(name) for key, name in _FIELDS.items()},
            **_metric(found),
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        self._put(aws, new)
        gone = sorted(set(old.get("tagsAll") or {}) - set(new.get("tagsAll") or {}))
        if gone:
            aws("cloudwatch").untag_resource(ResourceARN=_arn(aws, id), TagKeys=gone)
        if new.get("tagsAll"):
            aws("cloudwatch").tag_resource(ResourceARN=_arn(aws, id), Tags=tag_list(new))
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("cloudwatch").delete_alarms(AlarmNames=[id])

    def _put(self, aws: Context, given: Properties, **more: Any) -> None:
        values = {name: given[key] for key, name in (_FIELDS | _METRIC).items() if key in given}
        if given.get("dimensions"):
            values["Dimensions"] = _dimensions(given["dimensions"])
        if given.get("metricQueries"):
            values["Metrics"] = [_query(query) for query in given["metricQueries"]]
        aws("cloudwatch").put_metric_alarm(AlarmName=given["name"], **values, **more)


def _arn(aws: Context, name: str) -> str:
    return f"arn:aws:cloudwatch:{aws.region}:{aws.account}:alarm:{name}"


def _dimensions(given: Properties) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in given.items()]


_QUERY = {"id": "Id", "expression": "Expression", "label": "Label", "returnData": "ReturnData", "period": "Period"}
_WHICH = {"namespace": "Namespace", "metricName": "MetricName"}
_HOW = {"period": "Period", "stat": "Stat", "unit": "Unit"}


def _query(given: Properties) -> dict[str, Any]:
    query = _renamed(given, _QUERY)
    metric = given.get("metric")
    if metric:
        dimensions = _dimensions(metric.get("dimensions") or {})
        which = _renamed(metric, _WHICH) | {"Dimensions": dimensions}
        query["MetricStat"] = _renamed(metric, _HOW) | {"Metric": which}
    return query


def _asked(query: dict[str, Any]) -> Properties:
    """What `_query` was made of."""
    asked = _renamed(query, _turned(_QUERY))
    if "MetricStat" in query:
        which = query["MetricStat"]["Metric"]
        dimensions = {pair["Name"]: pair["Value"] for pair in which.get("Dimensions") or []}
        asked["metric"] = _renamed(query["MetricStat"], _turned(_HOW)) | _renamed(which, _turned(_WHICH))
        asked["metric"] |= {"dimensions": dimensions} if dimensions else {}
    return asked


def _renamed(given: Properties, names: dict[str, str]) -> dict[str, Any]:
    return {name: given[key] for key, name in names.items() if key in given}


def _turned(names: dict[str, str]) -> dict[str, str]:
    return {theirs: ours for ours, theirs in names.items()}


def _metric(found: Properties) -> Properties:
    """The one metric of an alarm, or its queries. ministack gives a period and `Average` also where AWS gives none."""
    if found.get("Metrics"):
        return {"metricQueries": [_asked(query) for query in found["Metrics"]]}
    absent = "Statistic" if found.get("ExtendedStatistic") else "ExtendedStatistic"
    dimensions = {pair["Name"]: pair["Value"] for pair in found.get("Dimensions") or []}
    metric = {key: found.get(name) for key, name in _METRIC.items() if name != absent}
    return metric | {"dimensions": dimensions}
