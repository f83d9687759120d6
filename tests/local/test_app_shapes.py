"""An app of another shape, in one environment: its health checks, a worker's own, images of its own, an internal
load balancer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from slipway.release.aws_session import create_aws_session
from slipway.release.dns_records import wait_for_certificate
from tests.local.clone import Clone, cloned, docker_lines
from tests.local.conftest import until

pytestmark = pytest.mark.e2e
APP = """
source: tests/apps/bare
module: service.api:application
port: 9000
health: {live: /ping, ready: /greet/lb, interval: 8, timeout: 4, failures: 3, statuses: 200-299, startSeconds: 90}
requestTimeout: 90
processes:
  web: {}
  files:
    image: python:3.11-slim
    command: python3 -m http.server 9100 --directory /usr
    port: 9100
    paths: [/share/*]
    health: {live: /share/, ready: /share, statuses: 200-399}
  beat:
    dockerfile: beat/Dockerfile
    source: beat
    health: {command: test -e /tmp/alive, interval: 5, timeout: 2, failures: 2, startSeconds: 5}
"""
BEAT = """FROM python:3.11-slim
USER 10001:10001
CMD ["python3", "-c", "import pathlib, time; pathlib.Path('/tmp/alive').touch(); time.sleep(9999)"]
"""


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    with cloned(tmp_path_factory.mktemp("shapes") / "repository") as clone:
        (clone.root / "stacks" / "app.yaml").write_text(APP)
        (clone.root / "beat").mkdir()
        (clone.root / "beat" / "Dockerfile").write_text(BEAT)
        file = clone.root / "stacks" / "Pulumi.local.yaml"
        file.write_text(file.read_text().replace("previews: true", "previews: false\n  internal: true"))
        clone.slipway("up")
        yield clone


def beats(shapes: Clone) -> list[Any]:
    """The running tasks of the worker."""
    ecs = shapes.aws("ecs")
    (cluster,) = ecs.list_clusters()["clusterArns"]
    arns = ecs.list_tasks(cluster=cluster)["taskArns"]
    tasks = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"]
    return [task for task in tasks if task["lastStatus"] == "RUNNING" and task["containers"][0]["name"] == "beat"]


def test_each_process_serves_from_its_own_image(shapes: Clone) -> None:
    assert shapes.get("/ping") == (200, '{"answer":"pong"}')
    status, text = shapes.get("/share/")
    assert status == 200
    assert "doc/" in text
    assert shapes.status()["health"] == "healthy"
    ecr = shapes.aws("ecr")
    (repository,) = ecr.describe_repositories()["repositories"]
    listed = ecr.describe_images(repositoryName=repository["repositoryName"])["imageDetails"]
    tags = [tag for image in listed for tag in image.get("imageTags", [])]
    assert {tag.partition("-")[0] for tag in tags} >= {"files", "beat"}


def test_the_load_balancer_is_internal_and_has_the_apps_limits(shapes: Clone) -> None:
    elb = shapes.aws("elbv2")
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    assert balancer["Scheme"] == "internal"
    attributes = elb.describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"])["Attributes"]
    assert {"Key": "idle_timeout.timeout_seconds", "Value": "90"} in attributes
    groups = {group["HealthCheckPath"]: group for group in elb.describe_target_groups()["TargetGroups"]}
    web = groups["/greet/lb"]
    assert (web["HealthCheckIntervalSeconds"], web["UnhealthyThresholdCount"]) == (8, 3)
    assert web["Matcher"] == {"HttpCode": "200-299"}
    assert groups["/share"]["Matcher"] == {"HttpCode": "200-399"}, "a redirect is healthy for this process"


def test_a_worker_that_fails_its_own_check_is_replaced(shapes: Clone) -> None:
    (task,) = beats(shapes)
    assert task["healthStatus"] == "HEALTHY"
    own = ["--filter", f"label=slipway.emulator={shapes.port}", "--filter", "name=beat"]
    (container,) = docker_lines("ps", "--quiet", *own)
    docker_lines("exec", container, "rm", "/tmp/alive")  # noqa: S108 - the container's own
    until(lambda: [each for each in beats(shapes) if each["taskArn"] != task["taskArn"]], 90)


def test_the_wait_for_a_record_ends_when_the_certificate_is_issued(shapes: Clone) -> None:
    """The local AWS issues at once; the messages are proved without it, in tests/infra/test_dns_records.py."""
    arn = shapes.aws("acm").request_certificate(DomainName="api.acme.test", ValidationMethod="DNS")["CertificateArn"]
    keys = {"region": "us-east-1", "accessKey": "test", "secretKey": "test"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{shapes.port}")
        wait_for_certificate(create_aws_session(keys), arn, "api.acme.test", lambda _: None)


def test_nothing_changes_in_a_second_up(shapes: Clone) -> None:
    assert "Nothing to change." in shapes.slipway("up")
