"""What a stranger sends: texts that are none, cursors that nobody gave, one address in many forms, nulls and blanks."""

from __future__ import annotations

import base64
import json
import unicodedata
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from app.core.security.normalization import normal_address
from tests.app.conftest import PASSWORD, Running, User, login, register

BAD = ("a\x00b", "\ud800aaaaaaaaaaaaaaa", "\udfff")


def strings(schema: dict[str, Any], whole: dict[str, Any]) -> Iterator[str]:
    """The names of an object's fields that may hold a text."""
    while "$ref" in schema:
        schema = whole["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    yield from schema.get("properties", {})


async def test_no_text_anywhere_in_the_api_is_an_error_of_the_server(running: Running) -> None:
    """Every field and parameter of every operation that the API documents, so those that will be added too."""
    api = await running.client()
    user = await register(api)
    whole = (await api.get("/openapi.json")).json()
    sent = 0
    for path, operations in whole["paths"].items():
        url = path.removeprefix("/api/v1")
        for name in ("item_id", "export_id", "user_id"):
            url = url.replace(f"{{{name}}}", str(uuid.uuid4()))
        for method, operation in operations.items():
            for options in attempts(operation, whole):
                answer = await user.request(method.upper(), url, **options)
                assert answer.status_code < 500, (method, url, options, answer.text)
                sent += 1
    assert sent > 60


def attempts(operation: dict[str, Any], whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Requests, each with a bad text in one place."""
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            yield from ({"params": {parameter["name"]: text}} for text in ("a\x00b", "\ufffd"))
            yield {"params": {parameter["name"]: encoded(["a\x00b", str(uuid.uuid4())])}}
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        fields = list(strings(content["schema"], whole))
        good = {"email": "x@example.com", "display_name": "X", "password": PASSWORD, "title": "X", "username": "x"}
        for field in fields:
            for text in BAD:
                body = {name: good[name] for name in fields if name in good} | {field: text}
                if "json" in kind:
                    yield {"content": json.dumps(body), "headers": {"content-type": "application/json"}}
                else:
                    quoted = "&".join(f"{name}={_quoted(str(value))}" for name, value in body.items())
                    yield {"content": quoted, "headers": {"content-type": kind}}
        if "json" in kind:
            yield {"content": json.dumps({"\ud800": 1}), "headers": {"content-type": "application/json"}}
            yield {"content": "[" * 100_000, "headers": {"content-type": "application/json"}}


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode(errors="surrogatepass"))


def encoded(values: Any) -> str:
    text = values if isinstance(values, str) else json.dumps(values)
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize("text", BAD)
async def test_a_password_or_a_title_that_is_no_text_is_refused(user: User, text: str) -> None:
    account = {"email": "x@example.com", "display_name": "X", "password": text + "a" * 12}
    json_type = {"content-type": "application/json"}
    assert (await user.request("POST", "/users/", content=json.dumps(account), headers=json_type)).status_code == 422
    item = json.dumps({"title": "T", "description": text})
    assert (await user.request("POST", "/items/", content=item, headers=json_type)).status_code == 422


@pytest.mark.parametrize("name", ["a%00b", "%ed%a0%80", "a%00b%40example.com", "nobody", ""])
async def test_a_login_with_what_is_no_address_is_refused_like_any_other(api: httpx.AsyncClient, name: str) -> None:
    content = f"username={name or 'x'}&password=%ed%a0%80aaaaaaaaaaaa"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert (await api.post("/api/v1/auth/token", content=content, headers=headers)).status_code == 401


MADE_UP = [
    ["0001-01-01T00:00:00+14:00", str(uuid.uuid4())],
    ["9999-12-31T23:59:59-14:00", str(uuid.uuid4())],
    ["a\x00b", str(uuid.uuid4())],
    ["2026-01-01T00:00:00+00:00", "\x00"],
    ["2026-01-01T00:00:00+00:00"],
    [1, 2],
    {"a": 1, "b": 2},
    "[" * 700,
]


@pytest.mark.parametrize("values", MADE_UP, ids=repr)
@pytest.mark.parametrize("path", ["/items/?sort=created_at", "/items/?sort=title", "/users/?limit=5"])
async def test_a_cursor_that_nobody_gave_is_refused(user: User, path: str, values: Any) -> None:
    answer = await user.get(f"{path}&cursor={encoded(values)}")
    by_title = "sort=title" in path and isinstance(values, list) and str(values[0])[:4].isdigit() and len(values) == 2
    assert answer.status_code in ((200, 422) if by_title else (422,)), answer.text


async def test_a_title_of_any_kind_can_be_continued_after(user: User) -> None:
    for title in ("Ærø", "a, b", "\U0001f600", "x'y\"z"):
        await user.item(title)
    seen, path = [], "/items/?limit=1&sort=title"
    while path:
        answer = await user.get(path)
        seen += [item["title"] for item in answer.json()]
        following = answer.links.get("next", {}).get("url", "")
        path = following.removeprefix("/api/v1")
    assert sorted(seen) == sorted(["Ærø", "a, b", "\U0001f600", "x'y\"z"])


@pytest.mark.parametrize(
    "written",
    [
        "Rene\u0301.{}@Example.com",
        "Ren\u00e9.{}@EXAMPLE.com",
        "  ada.{}@example.com ",
        "ada.{}@B\u00fccher.example.org",
        "ada.{}@xn--bcher-kva.example.org",
        "\u212aelvin.{}@example.com",
    ],
)
async def test_whoever_registers_can_log_in_with_the_same_string(api: httpx.AsyncClient, written: str) -> None:
    email = written.format(uuid.uuid4().hex[:8])
    account = {"email": email, "display_name": "Ada", "password": PASSWORD}
    assert (await api.post("/api/v1/users/", json=account)).status_code == 201
    for form in (email, email.upper(), unicodedata.normalize("NFD", email), unicodedata.normalize("NFC", email)):
        assert (await login(api, form)).status_code == 200, form
        assert (await api.post("/api/v1/users/", json=account | {"email": form})).status_code == 409, form


@pytest.mark.parametrize("email", ["Ada Lovelace <lovelace@example.com>", "<a@example.com>", "a@example.com, b@c.de"])
async def test_what_is_no_plain_address_is_refused(api: httpx.AsyncClient, email: str) -> None:
    account = {"email": email, "display_name": "Ada", "password": PASSWORD}
    assert (await api.post("/api/v1/users/", json=account)).status_code == 422
    assert (await login(api, email)).status_code == 401


def test_the_normal_form_is_its_own() -> None:
    for text in ("İ@example.com", "ǅ@example.com", "é@example.com"):
        assert normal_address(normal_address(text)) == normal_address(text)


async def test_a_password_is_the_same_however_a_keyboard_composes_it(api: httpx.AsyncClient) -> None:
    email, password = f"{uuid.uuid4().hex}@example.com", "caf\u00e9 au lait noir"
    account = {"email": email, "display_name": "Ada", "password": password}
    assert (await api.post("/api/v1/users/", json=account)).status_code == 201
    assert (await login(api, email, unicodedata.normalize("NFD", password))).status_code == 200


@pytest.mark.parametrize("field", ["title", "description", "status"])
async def test_null_is_no_value_to_change_to(user: User, field: str) -> None:
    item = await user.item()
    assert (await user.request("PATCH", f"/items/{item['id']}", json={field: None})).status_code == 422
    assert (await user.get(f"/items/{item['id']}")).json() == item


@pytest.mark.parametrize("change", [{"email": None}, {"display_name": None}])
async def test_null_does_not_change_an_account(user: User, change: dict[str, None]) -> None:
    assert (await user.request("PATCH", "/users/me", json=change)).status_code == 422


async def test_nothing_to_change_is_no_new_version(user: User) -> None:
    item = await user.item()
    answer = await user.request("PATCH", f"/items/{item['id']}", json={})
    assert (answer.status_code, answer.json()) == (200, item)


@pytest.mark.parametrize("title", ["", "   ", "\u2003\u3000", "\u200b", "two\nlines", "bell\x07"])
async def test_a_title_and_a_name_show_something_on_one_line(user: User, title: str) -> None:
    assert (await user.request("POST", "/items/", json={"title": title})).status_code == 422
    assert (await user.request("PATCH", "/users/me", json={"display_name": title})).status_code == 422


async def test_space_around_a_title_is_not_kept(user: User) -> None:
    assert (await user.item("  Lighthouse "))["title"] == "Lighthouse"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ('W/"1"', 412),
        ('"1"', 200),
        ('"7", "1"', 200),
        ("*", 200),
        ("1", 412),
        ('"x"', 412),
        ('W/"1", "2"', 412),
        (f'"{"9" * 40}"', 412),
    ],
)
async def test_if_match_compares_strongly(user: User, header: str, status: int) -> None:
    item = await user.item()
    answer = await user.request("PATCH", f"/items/{item['id']}", json={"title": "T"}, headers={"if-match": header})
    assert answer.status_code == status


async def test_if_none_match_takes_a_weak_tag(user: User) -> None:
    item = await user.item()
    assert (await user.get(f"/items/{item['id']}", headers={"if-none-match": 'W/"1"'})).status_code == 304
