"""The layer around the local AWS that asks for rights: it passes on what is allowed, and answers the rest itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from slipway_local.rights.actions import Check, UnknownAction
from slipway_local.rights.answers import ACCESS_DENIED, Answer, error_answer
from slipway_local.rights.authorizer import Authorizer
from slipway_local.rights.decisions import Denied, decide
from slipway_local.rights.evaluation import denial_message
from slipway_local.rights.identities import Caller, IdentityError
from slipway_local.rights.registry import asks_for_login, denied, is_registry_path, registry_action, unauthorized
from slipway_local.rights.request_keys import common_keys
from slipway_local.rights.service_models import services_signed_as
from slipway_local.rights.sts_calls import ASSUME, WEB_IDENTITY
from slipway_local.rights.usage import Use
from slipway_local.rights.wire import HttpRequest, UnknownCall, read_call

App = Callable[[Any, Any, Any], Awaitable[None]]

OPEN_PATHS = ("/_slipway/", "/_alb/", "/v4/", "/health", "/_ministack/health", "/_ministack/ready")
"""Starts of paths that are none of AWS's APIs: ECS's agent, load balancers, task metadata, and whether it runs."""

LOOPBACK_PATHS = ("/_",)
"""Starts of paths that are open to this machine alone, and to no container: ministack's own, `reset` among them."""

_LOOPBACK = ("127.0.0.1", "::1")

_OWN_ACCOUNT_SERVICES = ("kms", "secretsmanager", "ecr", "s3")
"""Services whose state ministack looks up in the account of the access key, whatever account the ARN names."""


def through_rights(app: App, authorizer: Authorizer) -> App:
    """Returns an ASGI application that leaves to `app` what the caller may do, and answers the rest."""

    async def gate(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        path = scope["path"]
        if authorizer.tasks.has(path):
            await _send(authorizer.tasks.answer(path), scope, send)
            return
        request = _request(scope)
        if is_registry_path(path):
            refusal = _registry_refusal(authorizer, request)
            await (_send(refusal, scope, send) if refusal else app(scope, receive, send))
            return
        if _is_open(request, path) or authorizer.is_public(request.headers.get("host", ""), path):
            await app(scope, receive, send)
            return
        body_is_there = not _is_s3_upload(request)
        if body_is_there:
            body = await _body(receive)
            request = replace(request, body=body)
            receive = _replayed(body, receive)
        answer, owner = await _decide(authorizer, request, body_is_there)
        if answer:
            await _send(answer, scope, send)
        else:
            await app(_as_owner(scope, owner) if owner else scope, receive, send)

    return gate


def _is_open(request: HttpRequest, path: str) -> bool:
    return path.startswith(OPEN_PATHS) or (request.source_ip in _LOOPBACK and path.startswith(LOOPBACK_PATHS))


async def _decide(authorizer: Authorizer, request: HttpRequest, body_is_there: bool) -> tuple[Answer | None, str]:
    """Returns the answer to a refused request, or None and the account to act in where it is not the caller's own."""
    try:
        caller = authorizer.identities.caller(request, body_is_there)
    except IdentityError as error:
        return _identity_answer(request, error.signing_name, error.code, str(error)), ""
    principal = caller.principal
    signing_name = caller.signing_name or ("sts" if "Action" in request.form else "s3")
    if principal.kind == "administrator" and signing_name not in ("sts", *_OWN_ACCOUNT_SERVICES):
        return None, ""
    bucket = authorizer.bucket_of_host(request.headers.get("host", ""))
    if bucket and signing_name != "s3":
        return error_answer(None, "rest-xml", ACCESS_DENIED, f"{bucket} is a bucket, and the request is not S3's."), ""
    if bucket:
        request = replace(request, raw_path=f"/{bucket}{request.raw_path}")
    common = common_keys(caller.region, request.source_ip, request.headers.get("user-agent", ""))
    try:
        call = read_call(request, signing_name)
    except UnknownCall as error:
        return None if principal.kind == "administrator" else _unknown(error, caller), ""
    if call.service.name == "sts" and call.operation in (ASSUME, WEB_IDENTITY):
        return await asyncio.to_thread(authorizer.answer_sts, call, caller, common), ""
    if principal.kind == "administrator" and not authorizer.is_foreign(call, caller, common):
        return None, ""
    if principal.kind == "anonymous" and call.service.name != "s3":
        message = "Request is missing Authentication Token"
        return error_answer(call.service, call.protocol, "MissingAuthenticationToken", message), ""
    try:
        owner = authorizer.check(call, caller, common)
    except (Denied, UnknownAction) as error:
        return error_answer(call.service, call.protocol, ACCESS_DENIED, str(error)), ""
    if call.service.name == "ecr" and call.operation == "GetAuthorizationToken" and caller.credentials:
        return authorizer.registry_tokens.answer(caller.credentials, caller.region), ""
    is_foreign = owner != principal.account and call.service.iam_prefix in _OWN_ACCOUNT_SERVICES
    return None, owner if is_foreign and "authorization" in request.headers else ""


def _registry_refusal(authorizer: Authorizer, request: HttpRequest) -> Answer | None:
    """Returns the answer to a push or pull that the password's role may not do; None where it may."""
    found = authorizer.registry_tokens.credentials(request)
    if found is None:
        is_refused = authorizer.registry_needs_password or request.source_ip not in _LOOPBACK or asks_for_login(request)
        return unauthorized() if is_refused else None
    credentials, region = found
    caller = authorizer.identities.caller_of(credentials, region)
    needed = registry_action(request, credentials.account, region, authorizer.state)
    if needed is None:
        return None
    action, arn = needed
    check = Check(action, arn, common_keys(region, request.source_ip, request.headers.get("user-agent", "")))
    decision, asked = decide(caller, check, authorizer.state)
    authorizer.usage.record(Use(caller.principal.role_arn or caller.principal.arn, action, arn, decision.allowed))
    return None if decision.allowed else denied(denial_message(asked, decision))


def _unknown(error: UnknownCall, caller: Caller) -> Answer:
    message = f"User: {caller.principal.arn} is not authorized to perform this: {error}"
    return error_answer(error.service, error.protocol, ACCESS_DENIED, message)


def _identity_answer(request: HttpRequest, signing_name: str, code: str, message: str) -> Answer:
    services = services_signed_as(signing_name) if signing_name else ()
    if request.headers.get("x-amz-target"):
        return error_answer(services[0] if services else None, "json", code, message)
    if not services:
        return error_answer(None, "query" if "Action" in request.form else "rest-xml", code, message)
    protocol = "smithy-rpc-v2-cbor" if "smithy-protocol" in request.headers else services[0].protocol
    is_query = "Action" in request.form and protocol != "ec2"
    return error_answer(services[0], "query" if is_query else protocol, code, message)


def _request(scope: Any) -> HttpRequest:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "replace")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    query_text = scope.get("query_string", b"").decode("utf-8", "replace")
    raw_path = scope.get("raw_path") or scope["path"].encode()
    source = scope.get("client") or ("127.0.0.1", 0)
    return HttpRequest(
        method=scope["method"],
        raw_path=raw_path.decode("latin-1").partition("?")[0],
        query=parse_qs(query_text, keep_blank_values=True) if query_text else {},
        headers=headers,
        source_ip=source[0],
    )


def _is_s3_upload(request: HttpRequest) -> bool:
    """Whether the request is an upload to S3, whose body may be long and says nothing of its rights."""
    is_s3 = "/s3/aws4_request" in request.headers.get("authorization", "") or "X-Amz-Signature" in request.query
    return is_s3 and request.method == "PUT" and request.raw_path.strip("/").count("/") >= 1


async def _body(receive: Any) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _replayed(body: bytes, receive: Any) -> Any:
    """Returns a `receive` that gives the body that was read, then what comes after it: the client's leaving."""
    is_given = False

    async def again() -> Any:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _as_owner(scope: Any, owner: str) -> Any:
    """Returns the request as the resource's account would make it: ministack looks in the account of the access key."""
    headers = []
    for name, value in scope["headers"]:
        if name.lower() == b"authorization":
            start, _, rest = value.partition(b"Credential=")
            value = start + b"Credential=" + owner.encode() + b"/" + rest.partition(b"/")[2]
        elif name.lower() == b"x-amz-security-token":
            continue
        headers.append((name, value))
    return {**scope, "headers": headers}


async def _send(answer: Answer, scope: Any, send: Any) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    body = b"" if scope["method"] == "HEAD" else answer.body
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
