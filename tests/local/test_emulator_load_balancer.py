"""What the load balancer says of a target that fails, and what it refuses of a client."""

from __future__ import annotations

import http.client
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.local.conftest import source, until
from tests.local.site import Site

pytestmark = pytest.mark.e2e
IDLE_SECONDS = 2


@pytest.fixture(scope="module")
def faulty(aws: Any, emulator: Any) -> Iterator[Site]:
    """A site whose target fails in one way for each path, behind an idle time-out of two seconds."""
    site = Site(aws, emulator)
    idle = {"Key": "idle_timeout.timeout_seconds", "Value": str(IDLE_SECONDS)}
    site.elb.modify_load_balancer_attributes(LoadBalancerArn=site.balancer, Attributes=[idle])
    site.serve(site.define(program=source("faulty.py")), grace=30)
    site.steady()
    yield site
    site.remove()


def send(site: Site, text: str, seconds: float = 10) -> bytes:
    """Send bytes to the load balancer, and return all that comes back until it closes the connection, or is silent."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=seconds) as connection:
        connection.sendall(text.replace("\n", "\r\n").encode())
        answer = b""
        try:
            while data := connection.recv(65536):
                answer += data
        except TimeoutError:
            pass
        return answer


def test_a_target_that_is_silent_for_the_idle_time_out_is_a_504(faulty: Site) -> None:
    before = time.monotonic()
    status, body = faulty.get(path="/silent")
    assert status == 504
    assert IDLE_SECONDS <= time.monotonic() - before < IDLE_SECONDS + 3
    assert "504 Gateway Time" in body


@pytest.mark.parametrize("path", ["/health", "/login", "/_ministack/health"])
def test_a_path_that_the_emulator_has_itself_is_the_targets_where_a_load_balancer_is_asked(
    faulty: Site, path: str
) -> None:
    assert faulty.get(path=path) == (200, "ok")


@pytest.mark.parametrize("path", ["/broken", "/closed"])
def test_a_target_that_closes_or_speaks_no_http_is_a_502_that_does_not_name_it(faulty: Site, path: str) -> None:
    status, body = faulty.get(path=path)
    assert status == 502
    assert "172." not in body


def test_an_answer_keeps_its_headers_and_one_that_breaks_off_is_not_completed(faulty: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", faulty.port, timeout=60)
    host = {"Host": f"{faulty.name}.alb.localhost:{faulty.port}"}
    connection.request("GET", "/", headers=host)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"ok")
    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    connection.request("GET", "/cut", headers=host)
    with pytest.raises(http.client.IncompleteRead):
        connection.getresponse().read()


def test_a_refused_handshake_keeps_its_headers_and_body(faulty: Site) -> None:
    address = f"ws://{faulty.name}.alb.localhost:{faulty.port}/refused"
    with pytest.raises(InvalidStatus) as refused:
        connect(address, sock=socket.create_connection(("127.0.0.1", faulty.port)), proxy=None)
    answer = refused.value.response
    assert (answer.status_code, answer.body) == (429, b"slow down")
    assert answer.headers["Retry-After"] == "7"


def test_an_upgrade_to_http_2_is_answered_over_http_1(faulty: Site) -> None:
    host = f"{faulty.name}.alb.localhost:{faulty.port}"
    upgrade = "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAAP__\n"
    answer = send(faulty, f"GET /head HTTP/1.1\nHost: {host}\n{upgrade}\n", 2).lower()
    assert answer.startswith(b"http/1.1 200")
    assert b"h2c" not in answer


def test_a_body_that_stops_arriving_is_a_408_after_the_idle_time_out(faulty: Site) -> None:
    host = f"{faulty.name}.alb.localhost:{faulty.port}"
    before = time.monotonic()
    answer = send(faulty, f"POST / HTTP/1.1\nHost: {host}\nContent-Length: 1000\n\nhalf")
    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - before < IDLE_SECONDS + 3


@pytest.mark.parametrize("suffix", [":4630.evil.com", ":", ":80:80", ":999999", ":80 "])
def test_a_host_that_only_begins_with_the_load_balancers_name_is_a_400(faulty: Site, suffix: str) -> None:
    answer = send(faulty, f"GET /head HTTP/1.1\nHost: {faulty.name}.alb.localhost{suffix}x\n\n", 2)
    assert answer.startswith(b"HTTP/1.1 400"), answer


class DyingTarget(socketserver.StreamRequestHandler):
    """Answers health checks, and closes any other connection without an answer, as a task that dies does."""

    def handle(self) -> None:
        request = self.rfile.readline()
        if b"/health" in request:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        else:
            requests_to_dying_target.append(request)


requests_to_dying_target: list[bytes] = []


def test_a_request_is_sent_to_one_target_and_no_other_is_tried(site: Site) -> None:
    """As AWS has it: while a dead target counts as healthy, its share of the requests is answered with 502."""
    site.serve(site.define(), grace=30)
    site.steady()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), DyingTarget) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        dying = {"Id": "127.0.0.1", "Port": server.server_address[1]}
        site.elb.register_targets(TargetGroupArn=site.group, Targets=[dying])
        until(lambda: site.states() == ["healthy", "healthy"])
        statuses = [site.get()[0] for _ in range(10)]
        site.elb.deregister_targets(TargetGroupArn=site.group, Targets=[dying])
        server.shutdown()
    assert statuses.count(502) == len(requests_to_dying_target) == 5
    assert statuses.count(200) == 5
