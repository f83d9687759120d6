"""PutMetricAlarm with an expression over several metrics: ministack forgets which, and AWS gives them back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch

Response = tuple[int, dict[str, str], bytes]


def install() -> None:
    """Wrap ministack's own, which keeps the alarm."""
    cloudwatch._put_metric_alarm = _wrap_put_metric_alarm(cloudwatch._put_metric_alarm)


def _wrap_put_metric_alarm(original: Callable[..., Response]) -> Callable[..., Response]:
    def put(params: Any, sent: dict[str, Any], *how: bool) -> Response:
        answer = original(params, sent, *how)
        if answer[0] == 200 and sent.get("Metrics"):
            cloudwatch._alarms[sent["AlarmName"]]["Metrics"] = sent["Metrics"]
        return answer

    return put
