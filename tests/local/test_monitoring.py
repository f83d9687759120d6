"""Monitoring on a whole environment: what Prometheus finds and reads, and who is told when something is wrong.

One environment serves all tests of this file, in their order. Each prints its figures (pytest -rP).
"""

from __future__ import annotations

import html
import json
import re
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from tests.infra.test_rules import ALERTS, RULES
from tests.local import faults
from tests.local.clone import ROOT, Clone, cloned
from tests.local.conftest import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (ROOT / "tests" / "app").is_dir(), reason="the reference app was removed"),
]
ADA = {"email": "ada@example.com", "display_name": "Ada", "password": "correct horse battery"}
ALERT_SECONDS = 300


class Watched:
    """An environment with monitoring, and what its Prometheus says."""

    def __init__(self, clone: Clone) -> None:
        self.clone = clone
        self.cluster = clone.aws("ecs").list_clusters()["clusterArns"][0]
        self.topic = next(t["TopicArn"] for t in clone.aws("sns").list_topics()["Topics"])

    def tasks(self, service: str) -> list[Any]:
        ecs = self.clone.aws("ecs")
        arns = ecs.list_tasks(cluster=self.cluster, serviceName=service, desiredStatus="RUNNING")["taskArns"]
        return list(ecs.describe_tasks(cluster=self.cluster, tasks=arns)["tasks"]) if arns else []

    def services(self) -> dict[str, str]:
        """Process -> its service."""
        arns = self.clone.aws("ecs").list_services(cluster=self.cluster)["serviceArns"]
        names = [arn.rsplit("/", 1)[-1] for arn in arns]
        return {name.split("-")[2]: name for name in names if name.startswith("slipway-local-")}

    def api(self, path: str, **query: str) -> Any:
        """Of Prometheus, at the address of its task."""
        (task,) = self.tasks(self.services()["prometheus"])
        found = {d["name"]: d["value"] for a in task["attachments"] for d in a["details"]}
        url = f"http://{found['privateIPv4Address']}:9090/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            told = json.load(answer)
        assert told["status"] == "success", told
        return told["data"]

    def query(self, expression: str) -> list[Any]:
        return list(self.api("query", query=expression)["result"])

    def firing(self) -> set[str]:
        return {a["labels"]["alertname"] for a in self.api("alerts")["alerts"] if a["state"] == "firing"}

    @contextmanager
    def api_of_ada(self) -> Iterator[httpx.Client]:
        """The app, as somebody who is signed in."""
        host = urllib.parse.urlsplit(self.clone.status()["url"])
        there = {"base_url": f"http://127.0.0.1:{host.port}", "headers": {"host": host.netloc}}
        form = {"username": ADA["email"], "password": ADA["password"]}
        with httpx.Client(**there, timeout=60) as api:
            token = api.post("/api/v1/auth/token", data=form).json()["access_token"]
            api.headers["authorization"] = f"Bearer {token}"
            yield api

    @contextmanager
    def load(self) -> Iterator[None]:
        """Somebody who reads the same two lists, each up to five times a second."""
        ended = threading.Event()

        def ask(path: str) -> None:
            while not ended.wait(0.2):
                with suppress(httpx.HTTPError):
                    api.get(path)

        with self.api_of_ada() as api:
            asking = [threading.Thread(target=ask, args=(path,)) for path in ("/api/v1/users/", "/api/v1/items/")]
            for thread in asking:
                thread.start()
            try:
                yield
            finally:
                ended.set()
                for thread in asking:
                    thread.join()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with cloned(tmp_path_factory.mktemp("monitoring") / "repository") as clone:
        stack = clone.root / "stacks" / "Pulumi.local.yaml"
        stack.write_text(stack.read_text().replace("monitoring: false", "monitoring: true"))
        docker = clone.root / "docker"
        rules = docker / "prometheus" / "rules" / "app.yml"
        rules.write_text(sooner(rules.read_text()))
        for file, now, then in (
            (docker / "prometheus" / "prometheus.yml", "interval: 15s", "interval: 5s"),
            (docker / "alertmanager" / "alertmanager.yml", "group_interval: 1m", "group_interval: 10s"),
        ):
            assert now in file.read_text()
            file.write_text(file.read_text().replace(now, then))
        clone.slipway("up")
        assert clone.request("POST", "/api/v1/users/", json.dumps(ADA))[0] == 201
        yield Watched(clone)


def sooner(rules: str) -> str:
    """The alerts of errors and slow answers look at the last minute instead of five: they end so much sooner, too.

    What is provoked has to last 20 s. How long it has to in the environment, tests/infra/rules say.
    """
    requests, saturation, rest = rules.partition("  - name: saturation\n")
    full, stores, rest = rest.partition("  - name: stores\n")
    requests = requests.replace("[5m]", "[1m]").replace("for: 5m", "for: 20s")
    provoked = [part.replace("for: 1m", "for: 20s") for part in (requests, rest)]
    return provoked[0] + saturation + full + stores + provoked[1]


@pytest.fixture(scope="module")
def told(watched: Watched) -> Iterator[Any]:
    """What the topic tells a subscriber of the test's: subjects and messages."""
    sqs, sns = watched.clone.aws("sqs"), watched.clone.aws("sns")
    queue = sqs.create_queue(QueueName="told")["QueueUrl"]
    (arn,) = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"].values()
    subscription = sns.subscribe(TopicArn=watched.topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    heard: dict[str, str] = {}

    def listen() -> dict[str, str]:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            body = json.loads(message["Body"])
            by_rule = body.get("Subject", "EventBridge").startswith("EventBridge")  # the same of all of them
            heard[body["Message"] if by_rule else body["Subject"]] = body["Message"]
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return heard

    yield listen
    sns.unsubscribe(SubscriptionArn=subscription)
    sqs.delete_queue(QueueUrl=queue)


def test_every_task_that_answers_is_found_and_called_by_its_name(watched: Watched) -> None:
    started = time.monotonic()
    up = until(lambda: len(found := watched.query('up{job="ecs"} == 1')) == 3 and found, 120)
    print(f"found after {time.monotonic() - started:.0f} s")  # noqa: T201
    assert sorted(each["metric"]["process"] for each in up) == ["web", "web", "worker"]
    assert {each["metric"]["stack"] for each in up} == {"slipway-local"}
    running = {
        task["taskArn"].rsplit("/", 1)[-1] for p in ("web", "worker") for task in watched.tasks(watched.services()[p])
    }
    assert {each["metric"]["instance"] for each in up} == running
    assert {each["metric"]["process"]: each["value"][1] for each in watched.query('up{job!="ecs"}')} == {
        "prometheus": "1",
        "alertmanager": "1",
        "database": "1",
        "cache": "1",
    }
    assert [watched.query(each)[0]["value"][1] for each in ("pg_up", "redis_up")] == ["1", "1"]


def test_the_metrics_are_nowhere_that_the_load_balancer_reaches(watched: Watched) -> None:
    assert watched.clone.get("/metrics")[0] == 404


def test_whatever_the_rules_ask_for_is_there(watched: Watched) -> None:
    """Under load, each metric of each rule has values of this environment; and Prometheus evaluates every rule."""
    metrics = {name for rule in RULES for name in re.findall(r"[a-z_]+(?=\{)|(?:pg|redis)_\w+", rule["expr"])}
    made_when_wrong = {"jobs_total", "prometheus_notifications_errors_total", "alertmanager_notifications_failed_total"}
    made_when_wrong |= {"prometheus_remote_storage_samples_dropped_total"}  # of who writes elsewhere too
    with watched.load():
        for name in sorted(metrics - made_when_wrong):
            until(lambda name=name: watched.query(name), 90)
        until(lambda: watched.query("stack:http_errors:ratio_rate5m or stack:http_slow:ratio_rate5m"), 90)
    rules = [rule for group in watched.api("rules")["groups"] for rule in group["rules"]]
    assert {(rule["name"], rule["health"], rule.get("lastError", "")) for rule in rules} == {
        (rule.get("alert") or rule["record"], "ok", "") for rule in RULES
    }
    series = watched.query("prometheus_tsdb_head_series")[0]["value"][1]
    print(f"{len(metrics)} metrics in {len(RULES)} rules; {series} series")  # noqa: T201
    for each in watched.query('process_resident_memory_bytes{job!="ecs"}'):
        process = each["metric"]["process"]
        cpu = watched.query(f'1000 * rate(process_cpu_seconds_total{{process="{process}"}}[2m])')[0]["value"][1]
        print(f"{process}: {int(each['value'][1]) / 2**20:.0f} MiB, {float(cpu):.1f} thousandths of a core")  # noqa: T201


def test_what_goes_wrong_is_told_alone_and_again_when_it_is_over(watched: Watched, told: Any) -> None:
    """Five faults at once."""
    until(lambda: watched.firing() == set(), ALERT_SECONDS)
    clone = watched.clone
    wrong = {
        "ErrorBudgetBurnsFast": faults.without_table(clone, "items"),
        "AnswersAreSlow": faults.slow_table(clone, "users"),
        "DatabaseConnectionsNearLimit": faults.database_full(clone),
        "CacheIsAway": faults.cache_away(clone),
        "ProcessIsGone": faults.process_stopped(clone, watched.cluster, watched.services()["worker"]),
    }
    expected = set(wrong)
    with watched.load():
        with ExitStack() as faulty:
            for fault in wrong.values():
                faulty.enter_context(fault)
            began = time.monotonic()
            until(lambda: {f"ALERT: {name}" for name in expected} <= set(told()), ALERT_SECONDS)
            print(f"told after {time.monotonic() - began:.0f} s")  # noqa: T201
            assert watched.firing() == expected
        began = time.monotonic()
        until(lambda: {f"over: {name}" for name in expected} <= set(told()), ALERT_SECONDS)
        print(f"told that it is over after {time.monotonic() - began:.0f} s")  # noqa: T201
    messages = told()
    assert "the cache does not answer" in messages["ALERT: CacheIsAway"]
    assert ALERTS["CacheIsAway"]["annotations"]["runbook"] in messages["ALERT: CacheIsAway"]
    assert watched.firing() == set()


def test_a_task_by_the_clock_that_fails_is_told_of_and_one_that_does_well_is_not(watched: Watched, told: Any) -> None:
    ecs, family = watched.clone.aws("ecs"), "slipway-local-cleanup"
    service = watched.services()["worker"]
    (described,) = ecs.describe_services(cluster=watched.cluster, services=[service])["services"]

    def run(command: str) -> str:
        (task,) = ecs.run_task(
            cluster=watched.cluster,
            taskDefinition=family,
            launchType="FARGATE",
            networkConfiguration=described["networkConfiguration"],
            overrides={"containerOverrides": [{"name": "cleanup", "command": ["sh", "-c", command]}]},
        )["tasks"]
        arn = str(task["taskArn"])
        until(lambda: ecs.describe_tasks(cluster=watched.cluster, tasks=[arn])["tasks"][0]["lastStatus"] == "STOPPED")
        return arn

    well, wrong = run("exit 0"), run("exit 3")
    until(lambda: any(wrong in message for message in told().values()))
    # In quotes, as a template of EventBridge's is.
    (message,) = [each for each in told().values() if each.startswith(f'"{family}: a task has failed')]
    assert "Essential container in task exited" in message
    assert well not in message


def test_every_panel_of_every_dashboard_has_live_data(watched: Watched, tmp_path: Path) -> None:
    with watched.load(), watched.api_of_ada() as api:
        for seen in ('jobs_total{outcome="done"} > 0', 'rate(jobs_total{outcome="done"}[1m]) > 0'):  # a rate wants two
            assert api.post("/api/v1/items/exports").status_code == 202
            until(lambda seen=seen: watched.query(seen), 120)
        page = tmp_path / "dashboards.html"
        told = json.loads(_said(watched.clone, "dashboards", "--minutes", "5", "--out", str(page), "--json"))
    assert told["failed"] == []
    assert set(told["empty"]) <= {"What is watched: Previews", "What is watched: Requests to previews"}
    drawn = page.read_text()
    panels = [
        panel
        for file in (ROOT / "docker" / "grafana" / "dashboards").glob("*.json")
        for panel in json.loads(file.read_text())["panels"]
    ]
    titles = [panel["title"] for panel in panels if panel["datasource"]["type"] == "prometheus"]
    assert len(titles) < len(panels)  # the others are CloudWatch's, which is not here
    assert [title for title in titles if f"<h3>{html.escape(title)}</h3>" not in drawn] == []
    print(f"{told['queries']} queries of {len(titles)} panels")  # noqa: T201


def test_previews_are_watched_and_wake_nobody(watched: Watched) -> None:
    made = json.loads(_said(watched.clone, "preview", "create", "pr-7", "--base", "local", "--json"))
    found = until(lambda: watched.query(f'up{{stack="slipway-{made["stack"]}"}} == 1'), 120)
    assert [(each["metric"]["process"], each["metric"].get("alerts")) for each in found] == [("web", None)]
    told = json.loads(_said(watched.clone, "dashboards", "--minutes", "1", "--json"))
    assert (told["failed"], "What is watched: Previews" in told["empty"]) == ([], False)
    _said(watched.clone, "preview", "destroy", "pr-7", "--yes", "--json")


def _said(clone: Clone, *arguments: str) -> str:
    process = clone.start(*arguments)
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    return out
