"""A stack's configuration: typed, and checked as a whole before anything is touched.

Defaults live in Pulumi.yaml's config schema and differences in stacks/Pulumi.<stack>.yaml; this file says
what is allowed. A wrong value is a `SlipwayError` that names the key, the value and what would be right.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pulumi
import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from infra.errors import SlipwayError

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "slipway"

# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html
# CPU units -> (smallest, largest, step) in MiB. 256 has the odd list 512, 1024, 2048.
FARGATE_MEMORY: dict[int, tuple[int, int, int]] = {
    256: (512, 2048, 512),
    512: (1024, 4096, 1024),
    1024: (2048, 8192, 1024),
    2048: (4096, 16384, 1024),
    4096: (8192, 30720, 1024),
    8192: (16384, 61440, 4096),
    16384: (32768, 122880, 8192),
}

# What CloudWatch Logs accepts for a retention, in days.
LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653)


def _vpc_range(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise ValueError(f"{error}; write it like 10.20.0.0/16") from error
    if not 16 <= network.prefixlen <= 20:
        raise ValueError("a VPC here is a /16 to /20, so that its subnets have room")
    if not network.is_private:
        raise ValueError("a VPC uses a private range: 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    return value


def _retention(value: int) -> int:
    if value not in LOG_RETENTION_DAYS:
        raise ValueError(f"CloudWatch Logs takes one of {', '.join(map(str, LOG_RETENTION_DAYS))} days")
    return value


def fargate_memory(cpu: int) -> list[int]:
    """The memory sizes in MiB that Fargate allows for these CPU units; empty for an illegal CPU."""
    if cpu not in FARGATE_MEMORY:
        return []
    low, high, step = FARGATE_MEMORY[cpu]
    sizes = list(range(low, high + 1, step))
    return [size for size in sizes if size != 1536] if cpu == 256 else sizes


class Settings(BaseModel):
    """What one environment is made of."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    environment: Literal["local", "dev", "staging", "prod"]
    vpc_cidr: Annotated[str, AfterValidator(_vpc_range)]
    zones: Annotated[int, Field(ge=2, le=3)]
    nat_gateways: Literal["none", "one", "per-zone"]
    base_image: Annotated[str, Field(pattern=r"^[a-z0-9][\w./:@-]+$")]
    build_network: Literal["default", "host"]
    architecture: Literal["X86_64", "ARM64"]
    web_cpu: int
    web_memory: int
    web_tasks: Annotated[int, Field(ge=1, le=100)]
    log_retention_days: Annotated[int, AfterValidator(_retention)]

    @model_validator(mode="after")
    def _fargate_pairs(self) -> Self:
        _check_fargate("webCpu", self.web_cpu, "webMemory", self.web_memory)
        return self

    @classmethod
    def load(cls, values: Mapping[str, Any], source: str) -> Settings:
        """Check `values` (by key without the project's prefix) that came from `source`."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise SlipwayError(
                f"{source}: {len(error.errors())} wrong value(s), nothing was changed:\n"
                + "\n".join(f"  {_explain(dict(problem), values)}" for problem in error.errors()),
                "Correct the value in that file, or with: pulumi config set KEY VALUE",
            ) from None

    @classmethod
    def from_pulumi(cls) -> Settings:
        """The settings of the stack that the engine runs; Pulumi.yaml's defaults are already merged."""
        config = pulumi.Config(PROJECT)
        keys = [to_camel(name) for name in cls.model_fields]
        raw = {key: config.get(key) for key in keys}
        try:
            return cls.load(
                {key: _typed(value) for key, value in raw.items() if value is not None},
                f"stacks/Pulumi.{pulumi.get_stack()}.yaml",
            )
        except SlipwayError as error:
            raise pulumi.RunError(str(error)) from None  # what the engine shows without a stack trace

    @classmethod
    def from_files(cls, stack: str, root: Path = ROOT) -> Settings:
        """The settings as the stack's file and Pulumi.yaml's defaults give them, without the engine."""
        path = root / "stacks" / f"Pulumi.{stack}.yaml"
        if not path.exists():
            have = ", ".join(sorted(p.name[7:-5] for p in path.parent.glob("Pulumi.*.yaml")))
            raise SlipwayError(f"There is no stack file {path.relative_to(root)}.", f"Stacks here: {have}")
        schema = yaml.safe_load((root / "Pulumi.yaml").read_text())["config"]
        values = {k: v["default"] for k, v in schema.items() if isinstance(v, dict) and "default" in v}
        given = yaml.safe_load(path.read_text()).get("config") or {}
        prefix = f"{PROJECT}:"
        values |= {k.removeprefix(prefix): v for k, v in given.items() if k.startswith(prefix)}
        return cls.load(values, str(path.relative_to(root)))


def _check_fargate(cpu_key: str, cpu: int, memory_key: str, memory: int) -> None:
    allowed = fargate_memory(cpu)
    if not allowed:
        cpus = ", ".join(map(str, FARGATE_MEMORY))
        raise ValueError(f"{cpu_key} is {cpu}: Fargate has {cpus} CPU units (1024 is one vCPU)")
    if memory not in allowed:
        sizes = ", ".join(map(str, allowed))
        raise ValueError(f"{memory_key} is {memory}: with {cpu_key} {cpu} Fargate allows {sizes} MiB")


def _typed(value: str) -> Any:
    """A config value as YAML would have it: the engine hands everything over as a string."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _explain(problem: dict[str, Any], values: Mapping[str, Any]) -> str:
    reason = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return f"{PROJECT}:{reason}"
    key = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        return f"{PROJECT}:{key}: there is no such setting; Pulumi.yaml lists them all"
    if problem["type"] == "missing":
        return f"{PROJECT}:{key}: must be set"
    return f"{PROJECT}:{key} is {values.get(key)!r}: {reason}"
