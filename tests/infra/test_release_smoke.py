"""The one request through the front door: who answers, and what counts as an answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from slipway.config.errors import SlipwayError
from slipway.release.http_request import send_request
from slipway.release.smoke_test import SmokeTest, run_smoke_test


class Door:
    """A server whose answer the test sets."""

    def __init__(self) -> None:
        self.status, self.release, self.body = 200, "", b"fine"
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(door.status)
                if door.release:
                    self.send_header("X-Release", door.release)
                self.end_headers()
                self.wfile.write(door.body + self.headers["Host"].encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def asked(self, release: str | None = "abc-1") -> str:
        port = self.server.server_port
        return run_smoke_test(SmokeTest(f"http://shop.alb.localhost:{port}/livez", release, patience=0))


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # loopback goes around it
    door = Door()
    yield door
    door.server.shutdown()
    door.server.server_close()


@pytest.mark.parametrize(
    ("host", "asked"), [("", "shop.alb.localhost:{port}"), ("api.shop.test", "api.shop.test"),
                        ("shop.alb.localhost", "shop.alb.localhost:{port}")]
)  # fmt: skip
def test_the_load_balancer_is_asked_for_the_host_that_its_rule_has(door: Door, host: str, asked: str) -> None:
    port = door.server.server_port
    answer = send_request(f"http://shop.alb.localhost:{port}/", host=host)
    assert (answer.status, answer.body) == (200, "fine" + asked.format(port=port))


def test_the_release_is_taken_from_the_header_or_the_body(door: Door) -> None:
    door.release = "abc-1"
    assert door.asked().endswith("answers 200 as release abc-1")
    door.release, door.body = "", b'{"release": "abc-1"}'
    assert door.asked().endswith("answers 200 as release abc-1")


def test_another_release_is_an_error(door: Door) -> None:
    door.release = "abc-0"
    with pytest.raises(SlipwayError, match="as release abc-0, and not as abc-1"):
        door.asked()


def test_an_app_that_does_not_say_is_told_how(door: Door) -> None:
    assert "X-Release" in door.asked()
    assert door.asked(None).endswith("answers 200")


def test_an_error_is_one(door: Door) -> None:
    door.status, door.release = 503, "abc-1"
    with pytest.raises(SlipwayError, match="answers 503"):
        door.asked()
    door.server.shutdown()
    door.server.server_close()
    with pytest.raises(SlipwayError, match="does not answer"):
        door.asked()
