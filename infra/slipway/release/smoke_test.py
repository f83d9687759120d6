"""Tests with a request through the load balancer that the deployed release answers."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.config.errors import SlipwayError
from slipway.release.clock import SYSTEM_CLOCK, Clock
from slipway.release.http_request import send_request

RELEASE_HEADER = "X-Release"
"""Response header with the app's RELEASE; the body may contain it instead."""


@dataclass(frozen=True)
class SmokeTest:
    """A request, and the release that must answer it."""

    url: str
    """Includes the path."""
    release: str | None = None
    """None: only the status is checked. An app that does not name its release passes too."""
    host: str = ""
    """The Host header, if it differs from the URL's: the load balancer routes by it."""
    patience: float = 30.0
    """Seconds until all nodes of the load balancer know their targets."""


def run_smoke_test(test: SmokeTest, clock: Clock = SYSTEM_CLOCK) -> str:
    """Repeats the request until the answer is right; returns that answer as text.

    Raises `SlipwayError` with the last answer if it is still wrong after `patience` seconds.
    """
    deadline = clock.now() + test.patience
    while True:
        fault, answer = _test_once(test)
        if not fault:
            return answer
        if clock.now() > deadline:
            raise SlipwayError(
                f"Verify: {test.url} {fault}.",
                "Its tasks are healthy, so check the path to them: listener rules, certificate, DNS name, WAF.",
            )
        clock.sleep(0.5)


def _test_once(test: SmokeTest) -> tuple[str, str]:
    """Returns the fault, empty if there is none, and the answer as text."""
    answer = send_request(test.url, host=test.host)
    if not answer.status:
        return f"does not answer: {answer.error}", ""
    if not 200 <= answer.status < 300:
        return f"answers {answer.status}", ""
    if test.release is None:
        return "", f"{test.url} answers {answer.status}"
    release = answer.headers.get(RELEASE_HEADER.lower(), "")
    if release == test.release or test.release in answer.body:
        return "", f"{test.url} answers {answer.status} as release {test.release}"
    if release:
        return f"answers {answer.status} as release {release}, and not as {test.release}", ""
    hint = f"the app may send its variable RELEASE in the header {RELEASE_HEADER}"
    return "", f"{test.url} answers {answer.status}. Which release answered was not checked: {hint}"
