"""docs/examples: the changes that docs/app.md shows are applied to the app as it is, and work."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.app.conftest import PASSWORD, copy_of_the_app
from tests.app.servers import aws, free_port
from tests.app.test_aws import CREDENTIALS
from tests.app.test_production import ROOT, environment, eventually

EXAMPLES = ROOT / "docs" / "examples"
ALONE = (
    "add-a-relation.diff",
    "add-a-webhook.diff",
    "add-account-mails.diff",
    "add-events.diff",
    "add-roles.diff",
    "add-uploads.diff",
)
"""Each applies to the app as it is."""
AFTER_THE_ENTITY = ("add-a-job.diff", "add-a-version.diff")
SCRIPT = f"""
from fastapi.testclient import TestClient
from app.main import app

account = {{"email": "a@example.com", "display_name": "Ada", "password": "{PASSWORD}"}}
with TestClient(app) as client:
    assert client.get("/api/v1/notes/").status_code == 401
    client.post("/api/v1/users/", json=account)
    login = client.post("/api/v1/auth/token", data={{"username": "a@example.com", "password": "{PASSWORD}"}})
    client.headers["authorization"] = "Bearer " + login.json()["access_token"]
    client.post("/api/v1/items/", json={{"title": "A draft"}})
    made = client.post("/api/v1/notes/", json={{"text": "Buy lamp oil"}})
    assert made.status_code == 201, made.text
    assert client.post("/api/v1/notes/", json={{"text": "\\u0000"}}).status_code == 422
    assert client.get("/api/v1/notes/").json() == [made.json()]
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = environment(DATA_DIR=str(folder / "data"), PYTHONPATH=str(folder))
    return subprocess.run([*arguments], cwd=folder, env=variables, capture_output=True, text=True)


def test_the_entity_and_the_job_of_the_documentation_work(tmp_path: Path) -> None:
    copy_of_the_app(tmp_path)
    for name in ("add-an-entity.diff", "add-a-job.diff"):
        applied = run(tmp_path, "git", "apply", str(EXAMPLES / name))
        assert applied.returncode == 0, applied.stderr
        assert name in (ROOT / "docs" / "app.md").read_text()
    done = run(tmp_path, sys.executable, "-c", SCRIPT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"event": "reminder"' in done.stdout
    assert '"drafts": 1' in done.stdout
    agree = run(tmp_path, sys.executable, "-m", "alembic", "-c", "app/alembic.ini", "check")
    assert agree.returncode == 0, agree.stdout + agree.stderr


def applied(folder: Path, *names: str) -> None:
    """A copy of the app with these changes."""
    copy_of_the_app(folder)
    for name in names:
        done = run(folder, "git", "apply", str(EXAMPLES / name))
        assert done.returncode == 0, done.stderr
        assert name in (ROOT / "docs" / "app.md").read_text()


LOGIN = f"""
import hashlib, hmac, json, time
from fastapi.testclient import TestClient
from app.main import app


def login(client, email, name):
    account = {{"email": email, "display_name": name, "password": "{PASSWORD}"}}
    client.post("/api/v1/users/", json=account)
    answer = client.post("/api/v1/auth/token", data={{"username": email, "password": "{PASSWORD}"}})
    return {{"authorization": "Bearer " + answer.json()["access_token"]}}
"""
COMMENTS = """
with TestClient(app) as client:
    ada, grace = login(client, "a@example.com", "Ada"), login(client, "g@example.com", "Grace")
    item = client.post("/api/v1/items/", json={"title": "Lighthouse"}, headers=ada).json()["id"]
    path = f"/api/v1/items/{item}/comments"
    assert client.get(path).status_code == 401
    assert client.get(path, headers=grace).status_code == 404
    assert client.post(path, json={"text": "Mine?"}, headers=grace).status_code == 404
    made = [client.post(path, json={"text": f"Number {n}"}, headers=ada).json() for n in range(3)]
    assert {comment["author_name"] for comment in made} == {"Ada"}
    first = client.get(path + "?limit=2", headers=ada)
    rest = client.get(first.links["next"]["url"], headers=ada)
    assert first.json() + rest.json() == made
    assert client.get(f"/api/v1/items/{item}", headers=ada).status_code == 200
    assert client.delete(f"/api/v1/items/{item}", headers=ada).status_code == 204
    assert client.get(path, headers=ada).status_code == 404
"""
WEBHOOK = """
from app.api.v1.webhooks import MAX_AGE_SECONDS, sign

SECRET = "shared-0123456789-abcdefghijklmnopqrstuvwxyz"
with TestClient(app) as client:
    def send(body=b'{"id": 1}', secret=SECRET, age=0, signed=None):
        moment = int(time.time()) - age
        headers = {"x-signature": sign(secret, moment, signed or body), "x-timestamp": str(moment)}
        return client.post("/api/v1/webhooks/payments", content=body, headers=headers).status_code

    assert send() == 204
    assert send(secret=SECRET + "x") == 401
    assert send(signed=b'{"id": 2}') == 401
    assert send(age=MAX_AGE_SECONDS + 10) == 401
    assert send(age=-MAX_AGE_SECONDS - 10) == 401
    assert client.post("/api/v1/webhooks/payments", content=b"{}").status_code == 422
    odd = {"x-signature": "\u00e9".encode("latin-1"), "x-timestamp": "1"}
    assert client.post("/api/v1/webhooks/payments", content=b"{}", headers=odd).status_code == 401
"""


ROLES = """
import asyncio
from app.admin import create
from app.core.settings import get_settings

with TestClient(app) as client:
    ada, grace = login(client, "a@example.com", "Ada"), login(client, "g@example.com", "Grace")
    asyncio.run(create(get_settings(), "a@example.com"))
    ada = login(client, "a@example.com", "Ada")
    assert client.get("/api/v1/users/all").status_code == 401
    assert client.get("/api/v1/users/all", headers=grace).status_code == 403
    path = "/api/v1/users/" + client.get("/api/v1/users/me", headers=grace).json()["id"]
    assert client.patch(path, json={"role": "support"}, headers=grace).status_code == 403
    assert client.patch(path, json={"role": "owner"}, headers=ada).status_code == 422
    assert client.patch(path, json={"role": "support"}, headers=ada).json()["role"] == "support"
    assert client.get("/api/v1/users/me", headers=grace).status_code == 401, "the role is of a new login"
    grace = login(client, "g@example.com", "Grace")
    assert len(client.get("/api/v1/users/all", headers=grace).json()) == 2
    assert client.patch(path, json={"is_admin": True}, headers=grace).status_code == 403
    client.patch(path, json={"role": "user"}, headers=ada)
    assert client.get("/api/v1/users/all", headers=login(client, "g@example.com", "Grace")).status_code == 403
    assert client.get("/api/v1/users/all", headers=ada).status_code == 200
"""
VERSION = """
import uuid
from app.core.errors import Problem
from app.models import Note
from app.schemas.note import NoteUpdate
from app.schemas.user import ActiveUser
from app.services import notes
from sqlalchemy import update


async def overtaken(note, user):
    async with app.state.resources.database.unit() as unit:
        kept = await unit.session.get(Note, note)  # what the service finds: a session forgets what nobody holds
        await unit.session.execute(update(Note).values(version=9), execution_options={"synchronize_session": False})
        try:
            await notes.change(unit, user=user, note_id=note, data=NoteUpdate(text="late"), versions=None)
        except Problem as problem:
            assert problem.status == 412 and kept
            await unit.session.rollback()
        else:
            raise AssertionError("the late one was not refused")


with TestClient(app) as client:
    ada, grace = login(client, "a@example.com", "Ada"), login(client, "g@example.com", "Grace")
    note = client.post("/api/v1/notes/", json={"text": "Buy lamp oil"}, headers=ada).json()
    path, etag = f"/api/v1/notes/{note['id']}", f'"{note["version"]}"'

    def change(text, who=ada, **headers):
        return client.patch(path, json={"text": text}, headers=who | headers)

    assert change("Mine", who=grace).status_code == 404
    first = change("Buy two", **{"if-match": etag})
    assert (first.status_code, first.json()["version"], first.headers["etag"]) == (200, 2, '"2"')
    assert change("Buy three", **{"if-match": etag}).status_code == 412, "it has changed since"
    assert client.get("/api/v1/notes/", headers=ada).json()[0]["text"] == "Buy two"
    assert change("Buy three").json()["version"] == 3

    me = client.get("/api/v1/users/me", headers=ada).json()
    client.portal.call(overtaken, uuid.UUID(note["id"]), ActiveUser(token_version=1, **me))
"""
MAILS = """
import re
import socketserver
import threading

NEW = "another long password"


def token_of(client, to, subject):
    for _ in range(100):
        for text in client.get("/mailbox").text.split("To: "):
            if text.startswith(to) and subject in text:
                return re.search("#(\\S+)", text)[1]
        time.sleep(0.05)
    raise AssertionError("no mail")


with TestClient(app) as client:
    ada, grace = login(client, "a@example.com", "Ada"), login(client, "g@example.com", "Grace")
    me = lambda: client.get("/api/v1/users/me", headers=ada).json()
    post = lambda path, **body: client.post("/api/v1/auth/" + path, json=body).status_code
    assert me()["email_verified_at"] is None
    verification = token_of(client, "a@example.com", "Confirm")
    assert post("verification", token=verification + "x") == 403
    assert post("verification", token=ada["authorization"][7:]) == 403, "a login is no proof of an address"
    assert post("verification", token=verification) == 204
    assert me()["email_verified_at"]
    assert client.patch("/api/v1/users/me", json={"email": "b@example.com"}, headers=ada).status_code == 200
    assert me()["email_verified_at"] is None
    assert post("verification", token=verification) == 403, "of another address"
    assert client.post("/api/v1/users/me/verification", headers=ada).status_code == 202
    verification = token_of(client, "b@example.com", "Confirm")
    assert post("password-reset/confirm", token=verification, new_password=NEW) == 403, "of another purpose"

    assert [post("password-reset", email=email) for email in ("nobody@example.com", "b@example.com")] == [202, 202]
    reset = token_of(client, "b@example.com", "Set a new")
    assert "nobody@" not in client.get("/mailbox").text
    bearer = {"authorization": "Bearer " + reset}
    assert client.get("/api/v1/users/me", headers=bearer).status_code == 401, "no login"
    assert post("password-reset/confirm", token=reset, new_password="short") == 422
    assert post("password-reset/confirm", token=reset, new_password=NEW) == 204
    assert post("password-reset/confirm", token=reset, new_password=NEW) == 403, "good once"
    assert client.get("/api/v1/users/me", headers=ada).status_code == 401, "all logins end"
    form = {"username": "b@example.com", "password": NEW}
    assert client.post("/api/v1/auth/token", data=form).status_code == 200
    assert client.get("/api/v1/users/me", headers=grace).status_code == 200


class Smtp(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 ready\\r\\n")
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\\r\\n")
                lines = iter(self.rfile.readline, b".\\r\\n")
                received.append(b"".join(lines).decode())
            self.wfile.write(b"221 bye\\r\\n" if word == b"QUIT" else b"250 ok\\r\\n")
            if word == b"QUIT":
                return


import asyncio
from app.core import mail
from app.core.settings import get_settings

received = []
with socketserver.TCPServer(("127.0.0.1", 0), Smtp) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = get_settings().model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": server.server_address[1]})
    asyncio.run(mail.send(settings, to="a@example.com", subject="Hello", text="A line"))
    server.shutdown()
assert "Subject: Hello" in received[0] and "A line" in received[0], received
"""
UPLOADS = """
import os
import boto3
import httpx2 as httpx

boto3.client("s3").create_bucket(Bucket=os.environ["UPLOADS_BUCKET"])
with TestClient(app) as client:
    ada, grace = login(client, "a@example.com", "Ada"), login(client, "g@example.com", "Grace")
    new = {"name": "plan.pdf", "content_type": "application/pdf", "size": 5}
    assert client.post("/api/v1/uploads", json=new).status_code == 401
    for wrong in ({"size": 10**9}, {"content_type": "text/html"}, {"name": 'a"b'}):
        assert client.post("/api/v1/uploads", json=new | wrong, headers=ada).status_code == 422
    upload = client.post("/api/v1/uploads", json=new, headers=ada).json()
    signed = httpx.URL(upload["url"]).params
    assert {"content-length", "content-type", "host"} <= set(signed["X-Amz-SignedHeaders"].split(";"))
    assert signed["X-Amz-Expires"] == "300"
    path = f"/api/v1/uploads/{upload['id']}"
    assert client.post(path + "/complete", headers=ada).status_code == 409, "nothing has arrived"
    assert client.get(path + "/file", headers=ada).status_code == 409
    sent = httpx.put(upload["url"], content=b"12345", headers={"content-type": "application/pdf"})
    assert sent.status_code == 200, sent.text
    assert client.post(path + "/complete", headers=grace).status_code == 404
    assert client.post(path + "/complete", headers=ada).json()["is_complete"] is True
    redirect = client.get(path + "/file", headers=ada, follow_redirects=False)
    assert redirect.status_code == 307
    assert httpx.get(redirect.headers["location"]).content == b"12345"
    assert client.get(path + "/file", headers=grace).status_code == 404
    other = client.post("/api/v1/uploads", json=new, headers=ada).json()
    key = f"uploads/{client.get('/api/v1/users/me', headers=ada).json()['id']}/{other['id']}"
    boto3.client("s3").put_object(Bucket=os.environ["UPLOADS_BUCKET"], Key=key, Body=b"longer than it was said")
    assert client.post(f"/api/v1/uploads/{other['id']}/complete", headers=ada).status_code == 409
"""


@pytest.fixture
def endpoint(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an S3, for who needs it."""
    if "uploads" not in request.node.name:
        yield "http://127.0.0.1:9"
        return
    (tmp_path / "aws").mkdir()
    with aws(tmp_path / "aws") as address:
        yield address


@pytest.mark.parametrize(
    ("names", "script"),
    [
        (["add-a-relation.diff"], COMMENTS),
        (["add-a-webhook.diff"], WEBHOOK),
        (["add-roles.diff"], ROLES),
        (["add-an-entity.diff", "add-a-version.diff"], VERSION),
        (["add-account-mails.diff"], MAILS),
        (["add-uploads.diff"], UPLOADS),
    ],
    ids=["relation", "webhook", "roles", "version", "mails", "uploads"],
)
def test_what_a_team_adds_next_works(tmp_path: Path, endpoint: str, names: list[str], script: str) -> None:
    applied(tmp_path, *names)
    more = {"WEBHOOK_SECRET": "shared-0123456789-abcdefghijklmnopqrstuvwxyz", "UPLOADS_BUCKET": "uploads"}
    more |= {"AWS_ENDPOINT_URL": endpoint, "LOGIN_RATE_LIMIT_PER_MINUTE": "100"} | CREDENTIALS
    variables = environment(DATA_DIR=str(tmp_path / "data"), PYTHONPATH=str(tmp_path), **more)
    command = [sys.executable, "-c", LOGIN + script]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    agree = run(tmp_path, sys.executable, "-m", "alembic", "-c", "app/alembic.ini", "check")
    assert agree.returncode == 0, agree.stdout + agree.stderr


def test_a_stream_of_events_ends_when_its_process_drains(tmp_path: Path) -> None:
    applied(tmp_path, "add-events.diff")
    port = free_port()
    variables = environment(DATA_DIR=str(tmp_path / "data"), PYTHONPATH=str(tmp_path), DRAIN_SECONDS="3")
    command = [sys.executable, "-m", "uvicorn", "app.main:app", "--port", str(port)]
    server = subprocess.Popen(command, cwd=tmp_path, env=variables)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=30) as api:
            eventually(lambda: _answers(api))
            api.post("/users/", json={"email": "a@example.com", "display_name": "Ada", "password": PASSWORD})
            form = {"username": "a@example.com", "password": PASSWORD}
            api.headers["authorization"] = f"Bearer {api.post('/auth/token', data=form).json()['access_token']}"
            with api.stream("GET", "/events") as stream:
                lines = (line for line in stream.iter_lines() if line.startswith("data:"))
                assert next(lines) == 'data: {"items": 0}'
                api.post("/items/", json={"title": "Lighthouse"})
                assert next(lines) == 'data: {"items": 1}'
                server.send_signal(signal.SIGTERM)
                assert list(lines) == [], "it ended, and with nothing cut"
        assert server.wait(30) in (0, -signal.SIGTERM)
    finally:
        if server.poll() is None:
            server.kill()


def _answers(api: httpx.Client) -> bool:
    try:
        return api.get("/users/").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize(
    "names", [*(("add-an-entity.diff", name) for name in AFTER_THE_ENTITY), *((name,) for name in ALONE)]
)
def test_the_examples_are_in_the_houses_style(tmp_path: Path, names: tuple[str, ...]) -> None:
    applied(tmp_path, *names)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    ruff = shutil.which("ruff", path=f"{ROOT}/.venv/bin:{os.environ['PATH']}")
    if ruff is None:
        pytest.skip("ruff is the repository's, and not here")
    for arguments in (("check",), ("format", "--check")):
        done = run(tmp_path, ruff, *arguments, "app")
        assert done.returncode == 0, done.stdout
