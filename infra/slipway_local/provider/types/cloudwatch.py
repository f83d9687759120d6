"""CloudWatch: alarms."""

from __future__ import annotations

from typing import Any, ClassVar

from slipway_local.provider.resource_type import (
    Properties,
    ProviderContext,
    ResourceType,
    property_names,
    tag_list,
    tag_map,
)

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


class MetricAlarmResource(ResourceType):
    """An alarm on a metric, or on an expression over several.

    ministack computes no expression: such an alarm never changes state.
    """

    type_name = "aws:cloudwatch/metricAlarm:MetricAlarm"
    inputs = property_names("name dimensions metricQueries tags tagsAll", *_FIELDS, *_METRIC)
    force_replacement = property_names("name")
    name_property = ("name", 255)
    defaults: ClassVar = {"actionsEnabled": True, "treatMissingData": "missing"}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        name = inputs["name"]
        self._put(aws, inputs, Tags=tag_list(inputs))
        return name, {"arn": _arn(aws, name)}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        alarms = aws("cloudwatch").describe_alarms(AlarmNames=[id])["MetricAlarms"]
        if not alarms:
            return None
        resource = alarms[0]
        arn = resource["AlarmArn"]
        tags = tag_map(aws("cloudwatch").list_tags_for_resource(ResourceARN=arn)["Tags"])
        return {
            "name": id,
            "arn": arn,
            "tags": tags,
            "tagsAll": tags,
            **{key: resource.get(name) for key, name in _FIELDS.items()},
            **_metric_to_pulumi(resource),
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        self._put(aws, new)
        gone = sorted(set(old.get("tagsAll") or {}) - set(new.get("tagsAll") or {}))
        if gone:
            aws("cloudwatch").untag_resource(ResourceARN=_arn(aws, id), TagKeys=gone)
        if new.get("tagsAll"):
            aws("cloudwatch").tag_resource(ResourceARN=_arn(aws, id), Tags=tag_list(new))
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("cloudwatch").delete_alarms(AlarmNames=[id])

    def _put(self, aws: ProviderContext, inputs: Properties, **more: Any) -> None:
        values = {name: inputs[key] for key, name in (_FIELDS | _METRIC).items() if key in inputs}
        if inputs.get("dimensions"):
            values["Dimensions"] = _dimensions(inputs["dimensions"])
        if inputs.get("metricQueries"):
            values["Metrics"] = [_query_to_aws(query) for query in inputs["metricQueries"]]
        aws("cloudwatch").put_metric_alarm(AlarmName=inputs["name"], **values, **more)


def _arn(aws: ProviderContext, name: str) -> str:
    return f"arn:aws:cloudwatch:{aws.region}:{aws.account}:alarm:{name}"


def _dimensions(inputs: Properties) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in inputs.items()]


_QUERY_FIELDS = {
    "id": "Id",
    "expression": "Expression",
    "label": "Label",
    "returnData": "ReturnData",
    "period": "Period",
}
_METRIC_ID_FIELDS = {"namespace": "Namespace", "metricName": "MetricName"}
_METRIC_STAT_FIELDS = {"period": "Period", "stat": "Stat", "unit": "Unit"}


def _query_to_aws(inputs: Properties) -> dict[str, Any]:
    query = _rename_keys(inputs, _QUERY_FIELDS)
    metric = inputs.get("metric")
    if metric:
        dimensions = _dimensions(metric.get("dimensions") or {})
        which = _rename_keys(metric, _METRIC_ID_FIELDS) | {"Dimensions": dimensions}
        query["MetricStat"] = _rename_keys(metric, _METRIC_STAT_FIELDS) | {"Metric": which}
    return query


def _query_to_pulumi(query: dict[str, Any]) -> Properties:
    """Returns the inputs that `_query` makes this query of."""
    asked = _rename_keys(query, _invert(_QUERY_FIELDS))
    if "MetricStat" in query:
        which = query["MetricStat"]["Metric"]
        dimensions = {pair["Name"]: pair["Value"] for pair in which.get("Dimensions") or []}
        asked["metric"] = _rename_keys(query["MetricStat"], _invert(_METRIC_STAT_FIELDS)) | _rename_keys(
            which, _invert(_METRIC_ID_FIELDS)
        )
        asked["metric"] |= {"dimensions": dimensions} if dimensions else {}
    return asked


def _rename_keys(inputs: Properties, names: dict[str, str]) -> dict[str, Any]:
    return {name: inputs[key] for key, name in names.items() if key in inputs}


def _invert(names: dict[str, str]) -> dict[str, str]:
    return {theirs: ours for ours, theirs in names.items()}


def _metric_to_pulumi(resource: Properties) -> Properties:
    """Returns an alarm's metric or queries; ministack gives a period and `Average` also where AWS gives none."""
    if resource.get("Metrics"):
        return {"metricQueries": [_query_to_pulumi(query) for query in resource["Metrics"]]}
    absent = "Statistic" if resource.get("ExtendedStatistic") else "ExtendedStatistic"
    dimensions = {pair["Name"]: pair["Value"] for pair in resource.get("Dimensions") or []}
    metric = {key: resource.get(name) for key, name in _METRIC.items() if name != absent}
    return metric | {"dimensions": dimensions}
