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

    ministack does not keep metric queries: a change of them by hand goes unseen, and such an alarm never changes state.
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


def _query(given: Properties) -> dict[str, Any]:
    names = {"id": "Id", "expression": "Expression", "label": "Label", "returnData": "ReturnData", "period": "Period"}
    query = {name: given[key] for key, name in names.items() if key in given}
    metric = given.get("metric")
    if metric:
        which = {"namespace": "Namespace", "metricName": "MetricName"}
        how = {"period": "Period", "stat": "Stat", "unit": "Unit"}
        dimensions = _dimensions(metric.get("dimensions") or {})
        query["MetricStat"] = {name: metric[key] for key, name in how.items() if key in metric} | {
            "Metric": {name: metric[key] for key, name in which.items() if key in metric} | {"Dimensions": dimensions}
        }
    return query


def _metric(found: Properties) -> Properties:
    """The one metric of an alarm. ministack gives a period and `Average` also where AWS gives none."""
    if not found.get("MetricName"):
        return {}
    absent = "Statistic" if found.get("ExtendedStatistic") else "ExtendedStatistic"
    dimensions = {pair["Name"]: pair["Value"] for pair in found.get("Dimensions") or []}
    metric = {key: found.get(name) for key, name in _METRIC.items() if name != absent}
    return metric | {"dimensions": dimensions}
