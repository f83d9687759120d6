"""Renders the stack files of a new project, with only the settings that differ from the kit's defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from slipway.cli.init.app_file import inline_yaml
from slipway.config.local_aws import LOCAL_ACCOUNT
from slipway.config.schemas import STACK_SCHEMA_FILE, UNCOMMITTED_FOLDER

REGION = "us-east-1"
SCHEMA_LINE = f"# yaml-language-server: $schema=../{UNCOMMITTED_FOLDER}/{STACK_SCHEMA_FILE.name}\n"
"""Tells editors the schema, relative to stacks/."""


@dataclass(frozen=True)
class StackFacts:
    """The facts that the stack files depend on."""

    has_database: bool = False
    has_cache: bool = False
    base_image: str = ""
    """Base image of the kit's own Dockerfile; empty for the default."""
    workers: tuple[str, ...] = ()
    """Names of the worker services."""
    has_metrics: bool = False
    has_previews: bool = False
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    """Stack -> its own plain variables."""
    local_secrets: dict[str, str] = field(default_factory=dict)
    """Secret -> placeholder for the local stack."""


def render_stack_files(facts: StackFacts) -> dict[str, str]:
    """Returns file name -> text, for the stacks local, dev, staging and prod, and for previews if enabled."""
    files = {
        "Pulumi.local.yaml": _local(facts),
        "Pulumi.dev.yaml": _dev(facts),
        "Pulumi.staging.yaml": _staging(facts),
        "Pulumi.prod.yaml": _prod(facts),
    }
    if facts.has_previews:
        files["Pulumi.preview.yaml"] = PREVIEW
    return {name: SCHEMA_LINE + text for name, text in files.items()}


def _common(facts: StackFacts, stack: str) -> str:
    """Returns the lines that several stacks share: base image and variables."""
    text = f"  baseImage: {facts.base_image}\n" if facts.base_image else ""
    variables = facts.environment.get(stack, {})
    return text + (f"  environment: {inline_yaml(variables)}\n" if variables else "")


def _local(facts: StackFacts) -> str:
    text = f"""\
# The whole environment on this machine, with the local AWS: `slipway up`.
config:
  # The account of the local AWS; no real account has this number.
  aws:allowedAccountIds: ["{LOCAL_ACCOUNT}"]
  tier: dev
  # The local AWS has no NAT gateway.
  natGateways: none
  interfaceEndpoints: true
  # Builds use this machine's images and its network.
  pinImages: false
  buildNetwork: host
  # The smallest Fargate size: all containers share this machine's cores.
  processes:
    web: {{cpu: 256, memory: 512, tasks: 1, maxTasks: 1}}
  deployProfile: quick
  # `slipway down` destroys it.
  protect: false
  logRetentionDays: 1
"""
    if facts.has_database:
        text += """\
  databaseVersion: "15"
  # The local AWS has its own CA; `slipway up` writes its certificate.
  databaseCa: .slipway/ca/rds.pem
  databaseFinalSnapshot: false
"""
    if facts.has_cache:
        text += """\
  cacheVersion: "7.0"
  cacheCa: .slipway/ca/elasticache.pem
"""
    if facts.local_secrets:
        text += "  # Placeholders, so that the app starts on this machine. Set real ones in other stacks.\n"
        text += "  secrets:\n" + "".join(f"    {n}: {inline_yaml(v)}\n" for n, v in facts.local_secrets.items())
    return text + _common(facts, "local")


def _dev(facts: StackFacts) -> str:
    text = f"""\
# For development: cheap (`slipway cost dev`).
config:
  aws:region: {REGION}
  tier: dev
  vpcCidr: 10.20.0.0/16
  processes:
    web: {{cpu: 256, memory: 512, tasks: 1, maxTasks: 2}}
  # Allows `pulumi destroy` in one step.
  protect: false
  logRetentionDays: 14
  # Saves 10 dollars a month, as long as only the team uses it.
  waf: false
  # Saves 16 dollars a month; without them there is no alarm for missing tasks.
  containerInsights: false
  monthlyBudgetUsd: 130
"""
    if facts.has_previews:
        text += "  # Pull requests get previews on this environment.\n  previews: true\n"
    if facts.has_database:
        text += "  databaseFinalSnapshot: false\n  databaseBackupDays: 1\n"
    return text + _common(facts, "dev")


def _staging(facts: StackFacts) -> str:
    text = f"""\
# Like production, with smaller sizes.
config:
  aws:region: {REGION}
  tier: staging
  # Does not overlap with the other environments, so that the VPCs can be peered.
  vpcCidr: 10.30.0.0/16
  processes:
    web: {{cpu: 512, memory: 1024, tasks: 2, maxTasks: 4}}
  monthlyBudgetUsd: 300
"""
    if facts.has_database:
        text += "  databaseClass: db.t4g.small\n"
    if facts.has_cache:
        text += "  # Two nodes, to test a failover before production.\n  cacheNodes: 2\n"
    if facts.has_metrics:
        text += "  monitoring: true\n"
    return text + _common(facts, "staging")


def _prod(facts: StackFacts) -> str:
    text = f"""\
# Production: survives the loss of a zone, and protects all data stores from deletion.
config:
  aws:region: {REGION}
  tier: prod
  # TODO: set yours. `pulumi up` refuses these three placeholders.
  domain: api.example.com
  hostedZoneId: Z0123456789EXAMPLE
  alarmEmail: ops@example.com
  vpcCidr: 10.40.0.0/16
  zones: 3
  # A NAT gateway in each zone, so that the loss of one zone does not cut off the others.
  natGateways: per-zone
  processes:
    web: {{cpu: 1024, memory: 2048, tasks: 3, maxTasks: 9}}
"""
    text += "".join(f"    {name}: {{cpu: 512, memory: 1024}}\n" for name in facts.workers)
    text += """\
  # Common audit requirement: one year.
  logRetentionDays: 365
  monthlyBudgetUsd: 1500
"""
    if facts.has_database:
        text += """\
  databaseClass: db.m7g.large
  databaseStorageGb: 100
  databaseMultiAz: true
  databaseBackupDays: 30
  databasePoolSize: 10
"""
    if facts.has_cache:
        text += "  cacheClass: cache.m7g.large\n  cacheNodes: 2\n"
    if facts.has_metrics:
        text += """\
  # Prometheus and Alertmanager; Grafana at https://<domain>/grafana, behind a login.
  monitoring: true
  grafana: true
  managedPrometheus: true
"""
    return text + _common(facts, "prod")


PREVIEW = """\
# Settings of every preview; they override its base environment's file: `slipway preview create`.
config:
  kind: preview
  tier: dev
  # One task for all processes, on Spot: after an interruption ECS starts another within a minute.
  processes:
    web: {cpu: 256, memory: 512, tasks: 1, maxTasks: 1, spot: true}
  databasePoolSize: 2
  deployProfile: quick
  protect: false
  logRetentionDays: 3
"""
