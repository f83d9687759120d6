"""Checks the signature of a request (Signature Version 4, in a header or in the query), with ministack's primitives."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from ministack.core import sigv4

from slipway_local.rights.wire import HttpRequest

_STREAMING = "STREAMING-"


@dataclass(frozen=True)
class Signature:
    """Who signed a request, and for which service and region, not yet checked."""

    access_key_id: str
    service: str
    region: str
    session_token: str
    is_presigned: bool


class SignatureError(Exception):
    """A signature that is wrong, or cannot be read. `code` is AWS's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def read_signature(request: HttpRequest) -> Signature | None:
    """Returns who signed the request; None for one that is not signed.

    Raises:
        SignatureError: there is a signature of another kind, or one that lacks a part.
    """
    authorization = request.headers.get("authorization", "")
    if authorization.startswith("AWS4-HMAC-SHA256"):
        parsed = sigv4.parse_header_signature(request.headers)
        token = request.headers.get("x-amz-security-token", "")
        is_presigned = False
    elif "X-Amz-Signature" in request.query or "X-Amz-Credential" in request.query:
        parsed = sigv4.parse_query_signature(dict(request.query))
        token = (request.query.get("X-Amz-Security-Token") or [""])[0]
        is_presigned = True
    elif authorization.startswith(("AWS4-", "AWS ")) or "AWSAccessKeyId" in request.query:
        message = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
        raise SignatureError("InvalidRequest", message)
    else:
        return None
    if isinstance(parsed, tuple):
        raise SignatureError(*parsed)
    return Signature(parsed.access_key_id, parsed.service, parsed.region, token, is_presigned)


def check_signature(request: HttpRequest, secret: str, is_presigned: bool, body_is_there: bool = True) -> None:
    """Recomputes and compares the signature; with the body, also checks that it is the signed one.

    Raises:
        SignatureError: it is another one, or it is too old.
    """
    query = dict(request.query)
    parsed = sigv4.parse_query_signature(query) if is_presigned else sigv4.parse_header_signature(request.headers)
    if isinstance(parsed, tuple):
        raise SignatureError(*parsed)
    if is_presigned:
        expires = (query.get("X-Amz-Expires") or ["900"])[0]
        if sigv4.presigned_request_is_expired(parsed.amz_date, expires):
            raise SignatureError("AccessDenied", "Request has expired")
    else:
        failure = sigv4.request_time_failure(parsed)
        if failure:
            raise SignatureError(*failure)
    signed_hash = request.headers.get("x-amz-content-sha256", "")
    if not body_is_there and not signed_hash and not is_presigned:
        raise SignatureError("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    headers = request.headers
    if signed_hash.startswith(_STREAMING) and not body_is_there:
        # The chunks have signatures of their own, which only a reader of the body can check.
        failure = _seed_failure(parsed, secret, request, query)
    else:
        failure = sigv4.header_signature_failure(
            parsed, secret, request.method, request.raw_path, query, headers, request.body, presigned=is_presigned
        )
    if failure:
        raise SignatureError(*failure)
    is_hash = len(signed_hash) == hashlib.sha256().digest_size * 2
    if body_is_there and is_hash and hashlib.sha256(request.body).hexdigest() != signed_hash:
        raise SignatureError("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match.")


def _seed_failure(
    parsed: sigv4.HeaderSignature, secret: str, request: HttpRequest, query: dict[str, list[str]]
) -> tuple[str, str] | None:
    _, string_to_sign = sigv4.header_signing_documents(
        parsed, request.method, request.raw_path, query, request.headers, b""
    )
    key = sigv4._cached_signing_key(secret, parsed.date_stamp, parsed.region, parsed.service)
    computed = hmac.new(key, string_to_sign.encode(), hashlib.sha256).hexdigest()
    return (
        None if hmac.compare_digest(computed, parsed.signature) else ("SignatureDoesNotMatch", sigv4.SIGNATURE_MISMATCH)
    )
