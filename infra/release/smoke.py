"""One request through the load balancer: it answers, and it answers as the release that was deployed."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlsplit

from infra.errors import SlipwayError

HEADER = "X-Release"
"""In which an app says its RELEASE; in the body is as good."""
TIMEOUT_SECONDS = 5
BODY_BYTES = 65536


@dataclass(frozen=True)
class Smoke:
    """What is asked, and who has to answer."""

    url: str
    """With the path."""
    release: str | None = None
    """None: only the status is looked at. An app that does not say which release it is cannot be held to it."""
    host: str = ""
    """The name that is asked for, where the URL has another: the load balancer tells services apart by it."""
    patience: float = 30.0
    """Seconds: a load balancer may take some until all of it knows its targets."""


def smoke(asked: Smoke) -> str:
    """Ask until the answer is right; what was answered, for a person.

    Raises `SlipwayError` with the last answer when it never is.
    """
    deadline = time.monotonic() + asked.patience
    while True:
        trouble, answered = _ask(asked)
        if not trouble:
            return answered
        if time.monotonic() > deadline:
            raise SlipwayError(
                f"Verify: {asked.url} {trouble}.",
                "Its tasks are healthy, so look at what is between: listener rules, certificate, name, WAF.",
            )
        time.sleep(0.5)


def _ask(asked: Smoke) -> tuple[str, str]:
    """What is wrong with the answer, and what it was."""
    host = urlsplit(asked.url).hostname or ""
    address, headers, handlers = asked.url, {"User-Agent": "slipway-verify"}, []
    if host == "localhost" or host.endswith(".localhost"):
        # Names that are this machine's by definition, though not every resolver knows it; and no proxy is on the way.
        parts = urlsplit(asked.url)
        address = parts._replace(netloc=f"127.0.0.1:{parts.port or 80}").geturl()
        headers["Host"] = parts.netloc
        handlers.append(urllib.request.ProxyHandler({}))
    if asked.host and asked.host != host:
        headers["Host"] = asked.host
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - http or https: the load balancer's
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT_SECONDS) as answer:
            told, body = answer.headers.get(HEADER, ""), answer.read(BODY_BYTES).decode(errors="replace")
            status = answer.status
    except urllib.error.HTTPError as error:
        return f"answers {error.code}", ""
    except OSError as error:
        return f"does not answer: {error}", ""
    if asked.release is None:
        return "", f"{asked.url} answers {status}"
    if told == asked.release or asked.release in body:
        return "", f"{asked.url} answers {status} as release {asked.release}"
    if told:
        return f"answers {status} as release {told}, and not as {asked.release}", ""
    hint = f"the header {HEADER} with the value of RELEASE would"
    return "", f"{asked.url} answers {status}; it does not say which release it is ({hint})"
