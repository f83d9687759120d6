"""Sends an HTTP request to a load balancer, on this machine or on AWS."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from slipway.config.local_aws import is_local_host

REQUEST_TIMEOUT_SECONDS = 5
MAX_BODY_BYTES = 65536


@dataclass(frozen=True)
class Answer:
    """An HTTP response. Without one `status` is 0, and `error` is the reason."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    error: str = ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def send_request(url: str, *, host: str = "", follow_redirects: bool = True) -> Answer:
    """Sends GET. `host`: the Host header, if it differs from the URL's: load balancers route by it."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    address = url
    headers = {"User-Agent": "slipway-verify"}
    handlers: list[urllib.request.BaseHandler] = [] if follow_redirects else [_NoRedirect()]
    if is_local_host(name):
        # Always this machine (RFC 6761), but not every resolver knows it; a proxy would resolve it elsewhere.
        address = parts._replace(netloc=f"127.0.0.1:{parts.port or 80}").geturl()
        headers["Host"] = parts.netloc
        handlers.append(urllib.request.ProxyHandler({}))
    if host and host != name:
        headers["Host"] = host
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - http or https: the load balancer's
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=REQUEST_TIMEOUT_SECONDS) as answer:
            body = answer.read(MAX_BODY_BYTES).decode(errors="replace")
            return Answer(answer.status, {key.lower(): value for key, value in answer.headers.items()}, body)
    except urllib.error.HTTPError as error:
        return Answer(error.code)
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, error=str(error))
