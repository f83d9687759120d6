"""Names: everything is called after the Pulumi project and the stack, so that any two of them share an account."""

from __future__ import annotations

import hashlib
import re

PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
LONGEST = 26
"""Characters of `<project>-<stack>`. ElastiCache's replication groups have the tightest limit that is not worked
around below: 40, of which `-cache` and Pulumi's eight random characters take 14."""
LONGEST_PROCESS = 12
"""Characters of a process's name: `<project>-<stack>-<process>-execution` and eight more fit into a role's 64."""
OF_THE_KIT = ("release", "previews-db", "prometheus", "grafana")
"""What no process may be called: the kit's own task definitions are."""
TAKEN = {
    "preview": "previews' databases are called preview_...",
    "pg": "Postgres keeps roles called pg_... for itself",
    "internal": "AWS refuses load balancers called internal-...",
    "sg": "AWS refuses security groups called sg-...",
}
"""What no project's name may begin with, its first word: the environment's own databases, roles and resources would."""
LOAD_BALANCER = 24
"""Load balancers and target groups may have 32 characters, with the eight random ones."""


def stack_name(project: str, stack: str) -> str:
    """What everything of a stack begins with."""
    return f"{project}-{stack}"


def short(name: str, longest: int = LOAD_BALANCER) -> str:
    """`name`, cut to `longest` characters with a hash of the whole at its end where it is longer."""
    if len(name) <= longest:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:5]
    return f"{name[: longest - len(mark) - 1].rstrip('-')}-{mark}"


def wrong(kind: str, name: str, longest: int) -> str:
    """What is wrong with a name that becomes part of AWS's; empty for nothing."""
    if not re.match(PATTERN, name):
        return f"{kind} {name!r}: small letters, digits and single hyphens, beginning with a letter"
    if len(name) > longest:
        return f"{kind} {name!r} has {len(name)} characters: AWS's names leave room for {longest}"
    return ""


def taken(project: str) -> str:
    """Why a project must not be called so; empty for nothing."""
    first = project.partition("-")[0]
    return f"the project's name {project!r} begins with {first!r}, and {TAKEN[first]}" if first in TAKEN else ""


def of_previews(base: str) -> str:
    """What the names of secrets and log groups of all previews on the environment `base` (`<project>-<stack>`) begin
    with, and no other's: the previews' roles reach these alone."""
    return f"{base}/preview"


def rule_priority(stack: str, below: int) -> int:
    """The place of a preview's rule among those of the load balancer: 1 to `below` - 1, by its name."""
    return 1 + int(hashlib.sha256(stack.encode()).hexdigest(), 16) % (below - 1)


def mark(*facts: str) -> str:
    """What tells two lives of a resource apart whose name has to be known before it is made: seven characters of what
    it is made from. It ends a name as Pulumi's automatic ones end, and is another where a fact is another."""
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:7]


def identifier(name: str) -> str:
    """`name` as Postgres likes its identifiers: without quotes."""
    return name.replace("-", "_")
