"""Names of resources: they begin with project and stack, so that several of them can share an AWS account."""

from __future__ import annotations

import hashlib
import re

NAME_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
MAX_STACK_NAME_LENGTH = 26
"""Characters of `<project>-<stack>`. ElastiCache has the lowest limit that `truncate_name` does not solve: 40 for a
replication group, of which `-cache` and Pulumi's eight random characters take 14."""
MAX_PROCESS_NAME_LENGTH = 12
"""Characters of a process's name: `<project>-<stack>-<process>-execution` and eight more fit an IAM role's 64."""
RESERVED_PROCESS_NAMES = ("connect", "exec", "release", "previews-db", "prometheus", "grafana")
"""Names of the kit's own task definitions, which no process may have."""
RESERVED_PREFIXES = {
    "preview": "previews' databases have names like preview_...",
    "pg": "Postgres reserves roles with names like pg_...",
    "internal": "AWS refuses load balancers with names like internal-...",
    "sg": "AWS refuses security groups with names like sg-...",
}
"""First words that no project's name may have, and why."""
MAX_LOAD_BALANCER_NAME_LENGTH = 24
"""Characters of a load balancer's or target group's name without Pulumi's eight random ones, of 32."""


def stack_name(project: str, stack: str) -> str:
    """Returns the prefix of the names of all resources of a stack."""
    return f"{project}-{stack}"


def truncate_name(name: str, longest: int = MAX_LOAD_BALANCER_NAME_LENGTH) -> str:
    """Returns `name`; where it has more than `longest` characters, cut and with a hash of the whole name at its end."""
    if len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:5]
    return f"{name[: longest - len(digest) - 1].rstrip('-')}-{digest}"


def name_error(kind: str, name: str, longest: int) -> str:
    """Returns what is wrong with a name that becomes part of resource names; empty for nothing."""
    if not re.fullmatch(NAME_PATTERN, name):
        return f"{kind} {name!r}: allowed are small letters, digits and single hyphens, beginning with a letter"
    if len(name) > longest:
        return f"{kind} {name!r} has {len(name)} characters: AWS's names leave room for {longest}"
    return ""


def reserved_prefix_error(project: str) -> str:
    """Returns why a project must not have this name; empty for nothing."""
    first_word = project.partition("-")[0]
    if first_word not in RESERVED_PREFIXES:
        return ""
    return f"the project's name {project!r} begins with {first_word!r}, and {RESERVED_PREFIXES[first_word]}"


def preview_name_prefix(base: str) -> str:
    """Returns the prefix of secrets and log groups of all previews on the environment `base` (`<project>-<stack>`).

    Nothing else has it, so that previews' IAM roles are limited to it.
    """
    return f"{base}/preview"


def preview_rule_priority(stack: str, below: int) -> int:
    """Returns the priority of a preview's load balancer rule, 1 to `below` - 1, derived from its name."""
    return 1 + int(hashlib.sha256(stack.encode()).hexdigest(), 16) % (below - 1)


def short_hash(*facts: str) -> str:
    """Returns a seven-character hash of `facts`, which ends a resource's name so that a replacement gets a new one.

    For resources whose name must be known before they are created; others get Pulumi's random suffix.
    """
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:7]


def postgres_identifier(name: str) -> str:
    """Returns `name` as an identifier that Postgres takes without quotes."""
    return name.replace("-", "_")
