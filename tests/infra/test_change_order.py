"""Whatever one key of stacks/app.yaml or of a stack file changes, nothing that running tasks need goes before them.

Each key is changed alone, and some in pairs. docs/reference/changes.md has the same table; when a change is meant:
SLIPWAY_WRITE_CHANGES=1 pytest tests/infra/test_change_order.py, and read the difference.
"""

from __future__ import annotations

import copy
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.config.app_spec.app import AppSpec
from slipway.config.app_spec.process import ProcessSpec
from slipway.config.setting_sections import SETTING_KEYS
from slipway.config.settings import Settings
from tests.infra.change_order import Comparison, key
from tests.infra.program import APP_FILE, programmed
from tests.infra.recorder import Recording
from tests.paths import ROOT

PAGE = ROOT / "docs" / "reference" / "changes.md"
HEADER = ("| change | before the rollout | tasks replaced | after it |", "|---|---|---|---|")
WRITE = "SLIPWAY_WRITE_CHANGES"
STACK = "dev"
APP: dict[str, Any] = yaml.safe_load(APP_FILE.read_text())
APP["processes"]["api"] = {"command": "serve api", "paths": ["/api/*", "/v2/*"], "tasks": 1}
APP["processes"]["worker"]["maxTasks"] = 1
APP["variables"]["OTHER_KEY"] = "generated"
SETTINGS: dict[str, Any] = {
    "tier": "dev",
    "waf": False,
    "zones": 3,
    "natGateways": "per-zone",
    "containerInsights": True,
    "deployProfile": "streaming",
    "databaseClass": "db.t4g.medium",
    "cacheNodes": 2,
    "secretsGeneration": 2,
    "logRetentionDays": 30,
    "githubRepository": "acme/shop",
}
SECRETS = '{"SENTRY_DSN": "https://sentry.example/1"}'
DOMAIN = {"domain": "api.acme.test", "hostedZoneId": "Z1"}
MONITORING = {"monitoring": True}

Edit = dict[str, Any]
"""A key with dots, `app.port` or `natGateways`, and its value; None: left out."""

CHANGES: dict[str, list[Edit]] = {
    # stacks/app.yaml
    "source": [{"app.source": str(ROOT / "tests" / "apps" / "flat"), "app.module": "main:app"}],
    "dockerfile": [{"app.module": None, "app.dockerfile": str(ROOT / "docker" / "database" / "Dockerfile")}],
    "module": [{"app.module": "service.api:other"}],
    "port": [{"app.port": 8100}],
    "metricsPort": [{"app.metricsPort": 9200}],
    "health": [
        {"app.health": {"live": "/livez", "ready": "/other"}},
        {"app.health": {"live": "/other", "ready": "/readyz"}},
    ],
    "requestTimeout": [{"app.requestTimeout": 300}],
    "jobTimeout": [{"app.jobTimeout": 100}, {"app.jobTimeout": 2000}],
    "release": [{"app.release": "other"}, {"app.release": None}],
    "releasePlan": [{"app.releasePlan": "plan"}],
    "previewSeed": [{"app.previewSeed": "seed"}],
    "needs": [{"app.needs": ["database", "cache", "bucket.read"], "app.variables.JOBS_QUEUE_URL": "stack.name"}],
    "environment": [{"app.environment": {"REDIS_TLS": True}}],
    "variables": [{"app.variables.OTHER_KEY": None}],
    "secrets": [{"app.secrets": {}, "secrets": "{}"}],
    "processes": [
        {"app.processes.api": None},
        {"app.processes.worker": None, "app.variables.JOB_TIME_LIMIT": None},
        {"app.processes.cleanup": None},
        {"app.processes.admin": {"command": "serve admin", "paths": ["/admin/*"]}},
    ],
    "processes.command": [{"app.processes.web.command": "serve more"}],
    "processes.cpu": [{"app.processes.web.cpu": 512}],
    "processes.memory": [{"app.processes.web.memory": 4096}],
    "processes.tasks": [{"app.processes.api.tasks": 2, "app.processes.api.maxTasks": 2}],
    "processes.maxTasks": [{"app.processes.web.maxTasks": 2}, {"app.processes.web.maxTasks": 3}],
    "processes.paths": [
        {"app.processes.api.paths": ["/api/*"]},
        {"app.processes.api.paths": ["/api/*", "/v2/*", "/v3/*"]},
    ],
    "processes.schedule": [{"app.processes.cleanup.schedule": "rate(1 day)"}],
    "processes.needs": [
        {"app.processes.worker.needs": ["database", "cache", "queue"]},
        {"app.processes.web.needs": ["database", "cache", "queue.send"]},
    ],
    "processes.secrets": [{"app.processes.web.secrets": ["SECRET_KEY"]}],
    "processes.spot": [{"app.processes.worker.spot": False}],
    "processes.health": [{"app.processes.web.health": {"live": "/livez", "ready": "/other"}}],
    "processes.port": [{"app.processes.api.port": 8200}],
    "processes.image": [{"app.processes.worker.image": "redis:7-alpine"}],
    "processes.manual": [{"app.processes.once": {"command": "once", "manual": True}}],
    "processes.metrics": [{"app.processes.worker.metrics": False}],
    # stack files
    "allowedCidrs": [{"allowedCidrs": ["10.0.0.0/8"]}],
    "alarmEmail": [{"alarmEmail": "ops@acme.test"}],
    "architecture": [{"architecture": "ARM64"}],
    "backupCopyDays": [{"backupCopyRegion": "us-west-2", "backupCopyDays": 10}],
    "backupCopyRegion": [{"backupCopyRegion": "us-west-2"}],
    "baseImage": [{"baseImage": "python:3.12-slim"}],
    "bucketExpireDays": [{"bucketExpireDays": 3}],
    "buildNetwork": [{"buildNetwork": "host"}],
    "cacheClass": [{"cacheClass": "cache.t4g.small"}],
    "cacheNodes": [{"cacheNodes": 1}],
    "cacheVersion": [{"cacheVersion": "7.0"}],
    "cdn": [{**DOMAIN, "cdn": True}],
    "containerInsights": [{"containerInsights": False}],
    "databaseBackupDays": [{"databaseBackupDays": 1}],
    "databaseClass": [{"databaseClass": "db.t4g.large"}],
    "databaseFinalSnapshot": [{"databaseFinalSnapshot": False}],
    "databaseMajorUpgrade": [{"databaseMajorUpgrade": True}],
    "databaseMultiAz": [{"databaseMultiAz": True}],
    "databasePoolSize": [{"databasePoolSize": 3}],
    "databaseRestoreFrom": [{"databaseRestoreFrom": "before"}],
    "databaseStorageGb": [{"databaseStorageGb": 40}],
    "databaseVersion": [{"databaseVersion": "18", "databaseMajorUpgrade": True}],
    "deployProfile": [{"deployProfile": "quick"}, {"deployProfile": "safe"}],
    "domain": [DOMAIN],
    "exec": [{"exec": False}],
    "externalDns": [{"domain": "api.acme.test", "externalDns": True}],
    "flowLogs": [{"flowLogs": False}],
    "githubProvider": [{"githubProvider": False}],
    "githubRepository": [{"githubRepository": ""}],
    "grafana": [{**DOMAIN, **MONITORING, "grafana": True}],
    "imageDigest": [{"imageDigest": f"sha256:{'a' * 64}"}],
    "interfaceEndpoints": [{"interfaceEndpoints": True}],
    "logRetentionDays": [{"logRetentionDays": 7}],
    "managedPrometheus": [{**MONITORING, "managedPrometheus": True}],
    "monitoring": [MONITORING],
    "monthlyBudgetUsd": [{"monthlyBudgetUsd": 10}],
    "natGateways": [{"natGateways": "one"}, {"natGateways": "none", "interfaceEndpoints": True}],
    "offHours": [{"offHours": {"stop": "0 20 * * 1-5", "start": "0 7 * * 1-5"}}],
    "pinImages": [{"pinImages": False}],
    "previews": [{"previews": True}],
    "promotesFrom": [{"promotesFrom": "staging"}],
    "promotesTo": [{"promotesTo": "prod"}],
    "protect": [{"protect": False}],
    "releaseTimeoutMinutes": [{"releaseTimeoutMinutes": 20}],
    "rollbackTo": [{"rollbackTo": f"sha256:{'b' * 64}"}],
    "secretsGeneration": [{"secretsGeneration": 3, "secretsRetired": 1}],
    "secretsRetired": [{"secretsRetired": 1}],
    "settleSeconds": [{"settleSeconds": 60}],
    "stateBucket": [{"stateBucket": "state"}],
    "stateKey": [{"stateKey": "arn:aws:kms:eu-central-1:123456789012:key/state"}],
    "tier": [{"tier": "staging"}],
    "tracing": [{"tracing": True}],
    "vpcCidr": [{"vpcCidr": "10.99.0.0/16"}],
    "waf": [{"waf": True}],
    "wafCountOnly": [{"waf": True, "wafCountOnly": ["rate"]}],
    "wafRateLimit": [{"waf": True, "wafRateLimit": 1000}],
    "zones": [{"zones": 2}],
}
PAIRS: list[Edit] = [
    {"app.port": 8100, "app.processes.api.paths": ["/api/*"]},
    {"app.processes.api": None, "app.jobTimeout": 100, "deployProfile": "quick"},
    {"app.processes.worker.needs": ["database", "cache", "queue"], "app.variables.OTHER_KEY": None},
    {"secretsGeneration": 3, "secretsRetired": 1, "app.metricsPort": 9200},
]
SAME_AS_ANOTHER = {
    "environment": "as environment of app.yaml",
    "processes": "as processes of app.yaml",
    "secrets": "as secrets of app.yaml",
}
NOT_OF_A_RUNNING_ENVIRONMENT = {
    "base": "of a preview",
    "cacheCa": "a file that the image is built with",
    "databaseCa": "a file that the image is built with",
    "existingVpc": "another network is another stack",
    "expiresAt": "of a preview",
    "hostedZoneId": "with domain",
    "kind": "another kind is another stack",
    "metricsRetentionDays": "of Prometheus's own task",
    "previewData": "of previews",
    "previewDatabasePort": "of previews",
    "previewDomain": "of previews: refused while there are any (release/preview_guard.py)",
    "previewLimit": "of previews: refused while there are more (release/preview_guard.py)",
    "internal": "another load balancer under another name: move the clients to a second stack",
    "processes.dockerfile": "as processes.image",
    "processes.source": "with processes.dockerfile",
    "publicTasks": "with natGateways: none: in stacks that stop for it",
    "rulePriority": "of a preview",
    "staticPaths": "with cdn: what CloudFront caches",
}


@pytest.fixture(scope="module", autouse=True)
def _without_clients() -> Iterator[None]:
    """A botocore session for each hook is a fifth of what these runs compute, and nobody asks AWS here."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("pre_deploy_hooks", "post_deploy_verification", "shared_timeouts"):
            patch.setattr(f"slipway.release.{module}.open_stack_aws_session", lambda: None)
        patch.setattr("slipway.release.pre_deploy_hooks._open_preflight_session", lambda: None)
        patch.setattr("slipway.release.shared_timeouts.set_shared_timeout", lambda *_, **__: None)
        yield


def run(folder: Path, edit: Edit) -> Recording:
    app, values, secrets = copy.deepcopy(APP), dict(SETTINGS), SECRETS
    for path, value in edit.items():
        if path == "secrets":
            secrets = value
        elif not path.startswith("app."):
            values[path] = value
        else:
            *parents, last = path.split(".")[1:]
            target = app
            for parent in parents:
                target = target[parent]
            target[last] = value
            if value is None:
                del target[last]
    file = folder / "app.yaml"
    file.write_text(yaml.safe_dump(app, sort_keys=False))
    return programmed(STACK, Settings.load(values, "stack file"), file, secrets)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("apps")


@cache
def compared(folder: Path, edit: str) -> Comparison:
    if not edit:
        baseline = run(folder, {})
        return Comparison.of(baseline, baseline)
    before = compared(folder, "")
    return replace(before, after=Comparison.of(run(folder, yaml.safe_load(edit)), Recording()).before)


def compare(folder: Path, edit: Edit) -> Comparison:
    return compared(folder, yaml.safe_dump(edit))


def title(edit: Edit) -> str:
    return ", ".join(path.removeprefix("app.") for path in edit)


EDITS = [*(edit for edits in CHANGES.values() for edit in edits), *PAIRS]


@pytest.mark.parametrize("edit", EDITS, ids=title)
def test_nothing_that_running_tasks_need_goes_before_them(folder: Path, edit: Edit) -> None:
    assert list(compare(folder, edit).faults()) == []


def test_every_key_is_changed_or_says_why_not() -> None:
    own = {field.alias or name for name, field in AppSpec.model_fields.items()}
    of_process = {f"processes.{field.alias or name}" for name, field in ProcessSpec.model_fields.items()}
    known = {*CHANGES, *SAME_AS_ANOTHER, *NOT_OF_A_RUNNING_ENVIRONMENT}
    assert known == own | of_process | SETTING_KEYS
    assert not set(CHANGES) & set(NOT_OF_A_RUNNING_ENVIRONMENT)


def test_docs_have_the_same_table(folder: Path) -> None:
    rows = [_row(compare(folder, edit), edit) for edit in EDITS]
    head, mark, _ = PAGE.read_text().partition("<!-- generated: tests/infra/test_change_order.py -->\n\n")
    page = (
        head
        + mark
        + "\n".join(["| change | before the rollout | tasks replaced | after it |", "|---|---|---|---|", *rows, ""])
    )
    if os.environ.get(WRITE):
        PAGE.write_text(page)
    assert PAGE.read_text() == page


def _row(comparison: Comparison, edit: Edit) -> str:
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for change in comparison.changes:
        kind = key(change.resource).partition(" ")[0]
        if kind in ("Service", "TaskDefinition", "Stash") or kind.startswith("MetricAlarm"):
            continue
        waits = any(dependency.startswith("Service ") for dependency in change.resource.depends_on)
        verb = {"create": "new", "update": "changed", "replace": "new", "delete": "deleted"}[change.action]
        (after if change.action == "delete" or waits else before)[f"{verb} {kind}"] += 1
        if change.action == "replace":
            after[f"deleted {kind}"] += 1
    for name, first, last in comparison.timeouts:
        (before if last > first and not name.endswith("idleTimeout") else after)[f"{name} {first} to {last} s"] += 1
    refused = "".join(f"; may be refused ({hook})" for hook in comparison.refusals())
    cells = [
        _cell(before) + refused,
        ", ".join(comparison.rollouts).replace("slipway-dev-", "") or "none",
        _cell(after),
    ]
    return f"| `{title(edit)}` | {' | '.join(cells)} |"


def _cell(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" if count > 1 else what for what, count in sorted(counts.items())) or "nothing"
