"""One-off tasks of the local ECS, run by the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.local.conftest import BASE_IMAGE, until

Aws = Callable[[str], Any]


class Tasks:
    """Runs task definitions of a cluster."""

    def __init__(self, aws: Aws, engine: Any) -> None:
        self.ecs = aws("ecs")
        self.engine = engine
        self.cluster = self.ecs.create_cluster(clusterName="tasks")["cluster"]["clusterArn"]

    def run(self, *containers: dict[str, Any], **more: Any) -> str:
        definitions = [{"image": BASE_IMAGE, "essential": True, **container} for container in containers]
        self.ecs.register_task_definition(
            family="task",
            containerDefinitions=definitions,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            **more,
        )
        started = self.ecs.run_task(cluster=self.cluster, taskDefinition="task", launchType="FARGATE")
        return str(started["tasks"][0]["taskArn"])

    def get(self, arn: str) -> Any:
        return self.ecs.describe_tasks(cluster=self.cluster, tasks=[arn])["tasks"][0]

    def reaches(self, arn: str, status: str, seconds: float = 60) -> Any:
        until(lambda: self.get(arn)["lastStatus"] == status, seconds)
        return self.get(arn)

    def containers(self, arn: str) -> dict[str, Any]:
        mine = {"label": f"slipway.task={arn.rsplit('/', 1)[-1]}"}
        found = self.engine.containers.list(all=True, filters=mine, ignore_removed=True)
        return {container.labels["slipway.container"]: container for container in found}

    def stop(self, arn: str) -> Any:
        self.ecs.stop_task(cluster=self.cluster, task=arn)
        return self.reaches(arn, "STOPPED")


def python(program: str) -> list[str]:
    return ["python3", "-c", program]


SLEEP = python("import time, signal, sys; signal.signal(15, lambda *_: sys.exit(0)); time.sleep(600)")


def by_name(task: Any) -> dict[str, Any]:
    return {container["name"]: container for container in task["containers"]}
