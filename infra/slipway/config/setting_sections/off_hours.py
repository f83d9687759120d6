"""Settings of the hours in which a stack is not used, and of what may be stopped then."""

from __future__ import annotations

import re
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator

from slipway.config.setting_sections.base import SettingSection, SettingValue

WEEK_MINUTES = 7 * 24 * 60
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_CRON = re.compile(r"(\d{1,2}) (\d{1,2}) \* \* (\*|[0-7](?:[-,][0-7])*)")


def parse_week_times(cron: str) -> tuple[int, int, tuple[int, ...]]:
    """Returns minute, hour and days (0 is Sunday) of `minute hour * * days`. Raises `ValueError` for anything else."""
    match = _CRON.fullmatch(cron)
    if not match or int(match[1]) > 59 or int(match[2]) > 23:
        raise ValueError(f'{cron!r} is no time of a week. Write minute, hour, * * and days: "0 20 * * 1-5"')
    days: set[int] = set()
    for part in ("0-6" if match[3] == "*" else match[3]).split(","):
        first, _, last = part.partition("-")
        numbers = range(int(first), int(last or first) + 1)
        if not numbers or not re.fullmatch(r"\d(-\d)?", part):
            raise ValueError(f"the days {match[3]} of {cron!r} are no days: 1-5 is Monday to Friday, 0 or 7 Sunday")
        days |= {number % 7 for number in numbers}
    return int(match[1]), int(match[2]), tuple(sorted(days))


def to_schedule_expression(cron: str) -> str:
    """Returns a cron of five fields as EventBridge Scheduler has it, whose days have names."""
    minute, hour, days = parse_week_times(cron)
    return f"cron({minute} {hour} ? * {','.join(DAYS[day] for day in days)} *)"


def _check_cron(value: str) -> str:
    parse_week_times(value)
    return value


def _check_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("allowed are names of the IANA time zone database, such as Europe/Berlin or UTC") from None
    return value


class OffHours(SettingValue):
    """When a stack is stopped and started."""

    stop: Annotated[str, AfterValidator(_check_cron)]
    """When it stops: minute, hour, * * and days, 1-5 for Monday to Friday."""
    start: Annotated[str, AfterValidator(_check_cron)]
    """When it starts again, in the same form."""
    zone: Annotated[str, AfterValidator(_check_zone)] = "UTC"
    """The time zone of both, with its summer time: Europe/Berlin."""
    also_in_prod: bool = False
    """Whether this may be set in tier prod, where nothing answers meanwhile."""

    @property
    def running_share(self) -> float:
        """The part of a week in which the stack runs."""
        events = [(time, True) for time in _week_minutes(self.start)]
        events += [(time, False) for time in _week_minutes(self.stop)]
        events.sort()
        running = 0
        for (time, runs), (following, _) in zip(
            events, [*events[1:], (events[0][0] + WEEK_MINUTES, False)], strict=True
        ):
            running += following - time if runs else 0
        return running / WEEK_MINUTES


def _week_minutes(cron: str) -> list[int]:
    minute, hour, days = parse_week_times(cron)
    return [(day * 24 + hour) * 60 + minute for day in days]


class OffHoursSettings(SettingSection):
    """Off hours"""

    off_hours: OffHours | None = None
    """The hours without use, in which tasks, schedules and database stop: `{stop: "0 20 * * 1-5", start: "0 7 * *
    1-5", zone: Europe/Berlin}`. Previews stop with it."""
