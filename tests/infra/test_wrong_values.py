"""Wrong values of stacks/app.yaml and of stack files: the key, the value and what is allowed, word for word.

The first sentences that a newcomer reads of the kit. What goes together is in test_app_file.py and test_settings.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.config.settings import Settings
from tests.infra.test_app_file import app


def processes(**more: dict[str, Any]) -> dict[str, Any]:
    """A web process and others, whose command is `run`."""
    return {"processes": {"web": {}} | {name: {"command": "run"} | values for name, values in more.items()}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prot": 80}, "prot: there is no such key. Did you mean port?"),
        ({"port": "http"}, "port is 'http': allowed is a whole number"),
        ({"health": "/livez"}, "health is '/livez': allowed is a mapping of keys to values"),
        (processes(worker={"metrics": True}), "processes.worker.metrics is true, but metricsPort is missing"),
        (
            processes(worker={"port": 9000}),
            "processes.worker.port is 9000, but only a process behind the load balancer has one",
        ),
        (
            {"port": 8000, "metricsPort": 8000},
            "metricsPort and port are both 8000: metrics would be public. Choose another one",
        ),
        ({"variables": {"DB": "database.uri"}}, "variables.DB is 'database.uri': allowed are "),
        ({"source": "backend"}, "source is 'backend': there is no such folder in the project"),
        (
            {"module": "", "dockerfile": "web/Dockerfile"},
            "dockerfile is 'web/Dockerfile': there is no such file in the project",
        ),
        (
            processes(worker={"source": "jobs", "dockerfile": "docker/app/Dockerfile"}),
            "processes.worker.source is 'jobs': there is no such folder in the project",
        ),
        (
            processes(worker={"dockerfile": "jobs/Dockerfile"}),
            "processes.worker.dockerfile is 'jobs/Dockerfile': there is no such file in the project",
        ),
        (
            processes(worker={"command": "a && b"}),
            "&& is a shell operator, and containers start it without a shell. Write: sh -c 'a && b'",
        ),
        (
            processes(worker={"command": "run $QUEUE"}),
            "containers start it without a shell, so $QUEUE is not replaced by its value. Write: sh -c 'exec run",
        ),
        (
            {"health": {"live": "livez"}},
            "health.live is 'livez': a path begins with /, and its characters are letters, digits and ._~%/-",
        ),
        (
            {"environment": {"1A": "x"}},
            "a variable's name has letters, digits and _, and does not begin with a digit",
        ),
        (
            {"environment": {"A": None}},
            'environment.A is None: it has no value. Write "" for an empty one, or delete the line',
        ),
        (
            processes(worker={"cpu": 300}),
            "processes.worker.cpu is 300: Fargate allows 256, 512, 1024, 2048, 4096, 8192, 16384 CPU units "
            "(1024 are one vCPU)",
        ),
        (
            processes(worker={"cpu": 256, "memory": 700}),
            "processes.worker.memory is 700: with processes.worker.cpu 256 Fargate allows 512, 1024, 2048 MiB",
        ),
    ],
)
def test_a_wrong_value_of_the_app_says_what_is_allowed(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SlipwayError) as refusal:
        app(changes={"processes": {}}, **given)
    assert message in refusal.value.message
    assert "stacks/app.yaml" in refusal.value.message
    assert "nothing was changed" in refusal.value.message
    assert refusal.value.fix in ("Correct stacks/app.yaml.", "Correct stacks/app.yaml or the stack's file.")


def test_a_single_web_task_in_prod_is_named() -> None:
    with pytest.raises(SlipwayError) as refusal:
        app("prod", {"processes": {"web": {"tasks": 1}}, "domain": "shop.test", "alarmEmail": "ops@shop.test"})
    assert (
        "stacks/app.yaml does not fit this stack, nothing was changed: tier: prod requires two tasks for each web "
        "process, to survive the loss of a zone: set processes.web.tasks to 2 or more"
    ) in refusal.value.message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"natGatway": "none"}, "natGatway: there is no such key. Did you mean natGateways?"),
        ({"vpcCidr": "10.20"}, "; write it like 10.20.0.0/16"),
        ({"vpcCidr": "10.20.0.0/24"}, "allowed are /16 to /20, so that the subnets are large enough"),
        (
            {"vpcCidr": "52.0.0.0/16"},
            "allowed are private ranges: within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16",
        ),
        (
            {"allowedCidrs": ["office"]},
            "allowedCidrs.0 is 'office': Expected 4 octets in 'office'; write it like 10.8.0.0/16",
        ),
        ({"logRetentionDays": 4}, "logRetentionDays is 4: CloudWatch Logs allows 1, 3, 5, 7, "),
        (
            {"managedPrometheus": True, "monitoring": False, "grafana": False},
            "managedPrometheus is true and monitoring is false: there is no Prometheus that would write to it",
        ),
        (
            {"grafana": True, "monitoring": False},
            "grafana is true and monitoring is false: it has no Prometheus. Set monitoring to true",
        ),
        (
            {"offHours": {"stop": "8 pm", "start": "0 7 * * *", "zone": "UTC"}},
            "'8 pm' is no time of a week. Write minute, hour, * * and days: \"0 20 * * 1-5\"",
        ),
        (
            {"offHours": {"stop": "0 20 * * 5-1", "start": "0 7 * * *", "zone": "UTC"}},
            "the days 5-1 of '0 20 * * 5-1' are no days: 1-5 is Monday to Friday, 0 or 7 Sunday",
        ),
        (
            {"offHours": {"stop": "0 20 * * *", "start": "0 7 * * *", "zone": "CET/Berlin"}},
            "allowed are names of the IANA time zone database, such as Europe/Berlin or UTC",
        ),
        (
            {"externalDns": True, "domain": "shop.test", "hostedZoneId": "", "previewDomain": "pr.shop.test"},
            "externalDns is true and previewDomain is set: previews' names need a hosted zone. Remove previewDomain",
        ),
    ],
)
def test_a_wrong_setting_says_what_is_allowed(given: dict[str, Any], message: str) -> None:
    values = Settings.from_files("dev").model_dump(by_alias=True)
    with pytest.raises(SlipwayError) as refusal:
        Settings.load(values | given, "stacks/Pulumi.dev.yaml")
    assert message in refusal.value.message
    assert "stacks/Pulumi.dev.yaml: " in refusal.value.message
    assert refusal.value.fix == "Correct stacks/Pulumi.dev.yaml."
