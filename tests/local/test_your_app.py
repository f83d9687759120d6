"""docs/your-app.md, followed to the letter in one copy of the repository, with two apps that are not ours in kind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from slipway_local.docker_engine import ensure_docker, stop_managed_docker
from tests.local.clone import ROOT, Clone, cloned, docker_lines

pytestmark = pytest.mark.e2e

GUIDE = (ROOT / "docs" / "your-app.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The guide's fenced blocks, in their order."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", GUIDE, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


TAKE_AWAY, PUT_IN, RENAME, SECOND_STACK = blocks("sh")
BARE, SYNC_ORM = blocks("yaml")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    with cloned(tmp_path_factory.mktemp("shop") / "repository") as clone:
        if (clone.root / "tests" / "app").is_dir():
            clone.shell(TAKE_AWAY)
        clone.shell(PUT_IN)
        clone.shell(RENAME)
        (clone.root / "stacks" / "app.yaml").write_text(BARE)
        yield clone


def url(shop: Clone, stack: str) -> str:
    return str(json.loads(shop.pulumi("stack", "output", "--json", stack=stack))["url"])


def test_an_app_without_a_store_is_deployed_under_the_new_name_alone(shop: Clone) -> None:
    told = shop.slipway("up")
    status = shop.status()
    assert f"curl {status['url']}ping\n" in told
    assert shop.get("/greet/Ada", status["url"]) == (200, '{"greeting":"Hello, Ada"}')
    assert (status["health"], status["troubles"]) == ("healthy", [])
    made = json.loads(shop.pulumi("stack", "export"))["deployment"]["resources"]
    names = [resource["urn"].rsplit("::", 1)[-1] for resource in made if not resource["type"].startswith("pulumi:")]
    assert len(names) > 60
    assert [name for name in names if "shop-local" not in name or "slipway" in name] == []
    assert {resource["urn"].split("::")[1] for resource in made} == {"shop"}
    running = docker_lines("inspect", "--format", "{{.Name}} {{.Config.Image}}", *shop.containers())
    assert [name for name in running if "slipway" in name] == []


def test_plan_bill_and_picture_have_nothing_that_the_app_does_not_need(shop: Clone) -> None:
    picture = shop.root / "dev.svg"
    shop.slipway("diagram", "dev", "--out", str(picture))
    shown = {
        "plan": shop.slipway("plan", "dev"),
        "bill": shop.slipway("cost", "dev"),
        "picture": re.sub(r"<[^>]*>", " ", picture.read_text()),
    }
    stores = r"database|postgres|\brds\b|cache|redis|sqs|queue|worker|secrets? manager|secretsmanager|dev-bucket"
    for where, text in shown.items():
        assert re.search(r"\bweb\b", text, re.IGNORECASE), where
        own = text.replace("slipway:secretsmanager:Secrets", "")  # a component with nothing in it
        assert re.findall(stores, own, re.IGNORECASE) == [], where


def test_a_second_stack_of_the_tier_lives_on_the_firsts_network_and_goes_alone(shop: Clone) -> None:
    network = json.loads(shop.pulumi("stack", "output", "--json"))["foundation"]["network"]
    rings = {"publicSubnets": "public_subnet_ids", "privateSubnets": "private_subnet_ids"}
    rings["isolatedSubnets"] = "isolated_subnet_ids"
    given = [("id", network["vpc_id"])]
    given += [(f"{ring}[{at}]", id) for ring, key in rings.items() for at, id in enumerate(network[key])]
    on_its_network = "".join(f"pulumi config set --path 'existingVpc.{key}' {id} -s qa\n" for key, id in given)
    shop.shell(SECOND_STACK.replace("pulumi up", f"{on_its_network}pulumi up"))
    assert "aws:ec2/vpc:Vpc" not in shop.slipway("plan", "qa")
    made = json.loads(shop.pulumi("stack", "export", stack="qa"))["deployment"]["resources"]
    assert not {"aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"} & {resource["type"] for resource in made}
    first, second = url(shop, "local"), url(shop, "qa")
    assert first != second
    assert "Nothing to change." in shop.slipway("up")
    for address in (first, second):
        assert shop.get("/ping", address) == (200, '{"answer":"pong"}')
    shop.pulumi("destroy", "--yes", "--skip-preview", stack="qa")
    assert shop.get("/ping", second)[0] != 200
    assert shop.get("/ping", first)[0] == 200
    shop.pulumi("preview", "--refresh", "--expect-no-changes")


def test_an_app_with_its_own_dockerfile_and_a_sync_orm_keeps_its_notes_in_postgres(shop: Clone) -> None:
    shop.shell("rm -r backend && cp -r tests/apps/sync_orm backend")
    shop.slipway("down")  # another app: its health path is not one that the running tasks serve
    (shop.root / "stacks" / "app.yaml").write_text(SYNC_ORM)
    shop.slipway("up")
    status = shop.status()
    assert (status["health"], len(status["tasks"])) == ("healthy", 2)
    assert shop.request("POST", "/notes", '{"text": "Lighthouse"}', status["url"]) == (201, "1")
    assert shop.get("/notes", status["url"]) == (200, '["Lighthouse"]')
    main = shop.root / "backend" / "notes" / "main.py"
    main.write_text(main.read_text().replace('"/notes"', '"/all-notes"'))
    shop.slipway("up")
    assert shop.get("/all-notes", status["url"]) == (200, '["Lighthouse"]')


ASK = """
import os, socket, psycopg2
url = os.environ["DATABASE_URL"]
info = psycopg2.connect(url).info
print(info.ssl_in_use, info.ssl_attribute("protocol"))
host = url.partition("@")[2].partition(":")[0]
try:
    psycopg2.connect(url.replace(f"@{host}:", f"@{socket.gethostbyname(host)}:"))
except psycopg2.OperationalError as error:
    print(error)
"""
"""The certificate is for the server's name: by its address alone it could be anybody."""


def test_its_connections_to_postgres_are_encrypted_and_the_server_is_verified(shop: Clone) -> None:
    (task, *_) = docker_lines(
        "ps", "--quiet", "--filter", f"label=slipway.emulator={shop.port}", "--filter", "name=web"
    )
    told = " ".join(docker_lines("exec", task, "python", "-c", ASK))
    assert re.match(r"True TLSv1\.[23] ", told)
    assert "does not match host name" in told


def test_down_leaves_nothing(shop: Clone) -> None:
    shop.slipway("down")
    assert shop.processes() == []
    ensure_docker()  # `down` has stopped the engine, if nothing else ran in it
    try:
        assert shop.containers() == []
        assert shop.volumes() == []
    finally:
        stop_managed_docker()
