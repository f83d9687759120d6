"""The dashboards as code, one a file beside this one: `make dashboards` writes the JSON files that Grafana reads.

Every query is run against a live Prometheus by tests/local/test_monitoring.py, and none of them may come back empty.
"""

from __future__ import annotations

from pathlib import Path

from data import DATA
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from infrastructure import INFRASTRUCTURE
from jobs import JOBS
from service import SERVICE
from watching import WATCHING

FOLDER = Path(__file__).parents[1] / "dashboards"
BOARDS = {"infrastructure": INFRASTRUCTURE, "service": SERVICE, "data": DATA, "jobs": JOBS, "watching": WATCHING}


def generated() -> dict[str, str]:
    """File name -> its text."""
    encode = JSONEncoder(sort_keys=True, indent=2).encode
    return {f"{name}.json": encode(made.build()) + "\n" for name, made in BOARDS.items()}


if __name__ == "__main__":
    for name, text in generated().items():
        (FOLDER / name).write_text(text)
