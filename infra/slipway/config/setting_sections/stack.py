"""Settings of the stack as a whole, and of the app's processes in it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from slipway.config.setting_sections.base import EnvironmentValue, SettingSection, SettingValue


class ProcessOverrides(SettingValue):
    """Sizes of one process; a key that is left out keeps the value of stacks/app.yaml."""

    cpu: int | None = None
    """CPU units; 1024 are one vCPU."""
    memory: int | None = None
    """Memory in MiB."""
    tasks: int | None = None
    """Number of tasks; with autoscaling the smallest."""
    max_tasks: int | None = None
    """Largest number of tasks with autoscaling."""
    schedule: str | None = None
    """When a scheduled process runs, in UTC: `cron(30 3 * * ? *)` or `rate(1 day)`."""
    spot: bool | dict[str, int] | None = None
    """Whether it runs on Fargate Spot: true, false or {base: 1, weight: 2}."""


class StackSettings(SettingSection):
    """Stack and app"""

    kind: Literal["environment", "preview"] = "environment"
    """What the stack is: an environment, or a preview on an environment. `slipway preview create` sets it."""
    tier: Literal["dev", "staging", "prod"]
    """Which rules apply. prod requires several zones, TLS, a firewall, alarms, backups and two tasks for each web
    process."""
    processes: dict[str, ProcessOverrides] = Field(default={})
    """Sizes of the processes of stacks/app.yaml in this stack: `{web: {cpu: 1024, memory: 2048, tasks: 3, maxTasks:
    9}}`."""
    environment: dict[str, EnvironmentValue] = Field(default={})
    """Environment variables of all containers in this stack; they override those of stacks/app.yaml."""
    exec: bool | None = None
    """Whether `slipway exec` and `slipway connect` may reach running tasks, by ECS Exec. Left out: in tier dev."""
    protect: bool = True
    """Deletion protection of everything that holds data."""
    secrets_generation: int = Field(default=1, ge=1)
    """Generation of the generated secrets: raise it by one to rotate them. The previous ones work until
    they are retired."""
    secrets_retired: int = Field(default=0, ge=0)
    """The last generation whose secrets no longer work, below secretsGeneration. Raise it when every task has newer
    ones."""
