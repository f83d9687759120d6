"""Answers of the local AWS in each protocol's form: errors, and the results of STS."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from slipway_local.rights.service_models import Service


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


ACCESS_DENIED = "AccessDenied"

_JSON_CODES = {
    "AccessDenied": "AccessDeniedException",
    "ExpiredToken": "ExpiredTokenException",
    "IncompleteSignature": "IncompleteSignatureException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "InvalidSessionToken": "UnrecognizedClientException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "RequestTimeTooSkewed": "InvalidSignatureException",
    "CredentialDateMismatch": "InvalidSignatureException",
    "XAmzContentSHA256Mismatch": "InvalidSignatureException",
}
_QUERY_CODES = {
    "RequestTimeTooSkewed": "SignatureDoesNotMatch",
    "CredentialDateMismatch": "SignatureDoesNotMatch",
    "InvalidSessionToken": "InvalidClientTokenId",
}
_S3_CODES = {
    "InvalidClientTokenId": "InvalidAccessKeyId",
    "MissingAuthenticationToken": "AccessDenied",
    "InvalidSessionToken": "InvalidToken",
}
_S3_BAD_REQUESTS = ("ExpiredToken", "InvalidSessionToken", "XAmzContentSHA256Mismatch", "InvalidRequest")
_EC2_CODES = {"AccessDenied": "UnauthorizedOperation", "ExpiredToken": "RequestExpired"}
_EC2_PREFIX = "You are not authorized to perform this operation. "


def error_answer(service: Service | None, protocol: str, code: str, message: str, status: int = 0) -> Answer:
    """Returns an error. `code` is in the query protocol's spelling; `status` 0 means what the protocol uses for it."""
    request_id = str(uuid.uuid4())
    text = escape(message)
    match protocol:
        case "json":
            return _json_error(service, code, message, request_id)
        case "rest-json":
            name = _JSON_CODES.get(code, code)
            headers = {"content-type": "application/json", "x-amzn-errortype": name, "x-amzn-requestid": request_id}
            return Answer(status or 403, headers, json.dumps({"message": message, "Message": message}).encode())
        case "smithy-rpc-v2-cbor":
            headers = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
            return Answer(status or 400, headers, _cbor({"__type": _JSON_CODES.get(code, code), "message": message}))
        case "ec2":
            prefix = _EC2_PREFIX if code == ACCESS_DENIED else ""
            name = _EC2_CODES.get(code, "AuthFailure" if code in _JSON_CODES else code)
            error = f"<Errors><Error><Code>{name}</Code><Message>{prefix}{text}</Message></Error></Errors>"
            return _xml(status or 403, f"<Response>{error}<RequestID>{request_id}</RequestID></Response>")
        case "rest-xml" if service is None or service.name == "s3":
            name = _S3_CODES.get(code, code)
            default = 400 if code in _S3_BAD_REQUESTS else 403
            body = f"<Error><Code>{name}</Code><Message>{text}</Message><RequestId>{request_id}</RequestId></Error>"
            return _xml(status or default, body)
    name = (
        "AuthorizationError"
        if service and service.name == "sns" and code == ACCESS_DENIED
        else _QUERY_CODES.get(code, code)
    )
    error = f"<Error><Type>Sender</Type><Code>{name}</Code><Message>{text}</Message></Error>"
    namespace = service.model.metadata.get("xmlNamespace", "") if service else ""
    body = f'<ErrorResponse xmlns="{namespace}">{error}<RequestId>{request_id}</RequestId></ErrorResponse>'
    return _xml(status or 403, body)


def _json_error(service: Service | None, code: str, message: str, request_id: str) -> Answer:
    name = _JSON_CODES.get(code, code)
    version = service.model.metadata.get("jsonVersion", "1.1") if service else "1.1"
    headers = {"content-type": f"application/x-amz-json-{version}", "x-amzn-requestid": request_id}
    if service and "awsQueryCompatible" in service.model.metadata:
        headers["x-amzn-query-error"] = f"{code};Sender"
    return Answer(400, headers, json.dumps({"__type": name, "message": message, "Message": message}).encode())


def _xml(status: int, body: str) -> Answer:
    return Answer(status, {"content-type": "text/xml"}, f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode())


def query_answer(service: Service, operation: str, result: Mapping[str, Any]) -> Answer:
    """Returns a result in the query protocol."""
    namespace = service.model.metadata.get("xmlNamespace", "")
    inner = f"<{operation}Result>{_elements(result)}</{operation}Result>"
    metadata = f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"
    return _xml(200, f'<{operation}Response xmlns="{namespace}">{inner}{metadata}</{operation}Response>')


def _elements(value: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_elements(each) if isinstance(each, Mapping) else escape(str(each))}</{name}>"
        for name, each in value.items()
    )


def _cbor(value: Mapping[str, str]) -> bytes:
    """Returns a map of texts in CBOR (RFC 8949): all that an error is."""

    def head(kind: int, length: int) -> bytes:
        if length < 24:
            return bytes([kind << 5 | length])
        return bytes([kind << 5 | 25]) + length.to_bytes(2, "big")

    texts = (part for pair in value.items() for part in pair)
    return head(5, len(value)) + b"".join(head(3, len(text.encode())) + text.encode() for text in texts)
