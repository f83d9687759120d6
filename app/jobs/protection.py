"""ECS's task protection: while a job runs, no deployment and no scale-in stops its task.

What still may (a Spot interruption, a host that is retired) stops the job with it; its message comes again.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html
"""

import http.client
import json
import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

log = logging.getLogger("app.jobs")
AGENT_SECONDS = 2
"""The agent is on the same host."""


@contextmanager
def protected(seconds: float) -> Iterator[None]:
    """Protect this task until the block ends, at most for so long. Elsewhere than on ECS: nothing.

    For a worker that runs one job at a time; the task's role needs ecs:UpdateTaskProtection.
    """
    agent = os.environ.get("ECS_AGENT_URI")
    if agent is None:
        yield
        return
    _tell(agent, {"ProtectionEnabled": True, "ExpiresInMinutes": math.ceil(seconds / 60)})
    try:
        yield
    finally:
        _tell(agent, {"ProtectionEnabled": False})


def _tell(agent: str, state: dict[str, Any]) -> None:
    """Ask the agent. That it refuses is no reason not to run: the job is only less safe from being run again."""
    url = urlsplit(agent)
    connection = http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=AGENT_SECONDS)
    try:
        body, headers = json.dumps(state), {"Content-Type": "application/json"}
        connection.request("PUT", f"{url.path}/task-protection/v1/state", body, headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        if answer.status != http.client.OK or '"protection"' not in text:  # a refusal may be a 200 with "failure"
            log.warning("task not protected", extra={"status": answer.status, "answer": text[:300]})
    except (OSError, http.client.HTTPException) as error:
        log.warning("task not protected", extra={"error": repr(error)})
    finally:
        connection.close()
