"""Serves on 8000 from the start; its checks succeed READY_AFTER seconds, until UNREADY_AFTER. Says its VERSION.

With ANSWERS_ON it still answers whom its checks do not ask for.
With PROTECT_MINUTES it asks ECS's agent not to be stopped for so long.
"""

import json
import os
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

started = time.monotonic()
ready_after = float(os.environ.get("READY_AFTER", "0"))
unready_after = float(os.environ.get("UNREADY_AFTER", "inf"))

if "PROTECT_MINUTES" in os.environ:
    asked = {"ProtectionEnabled": True, "ExpiresInMinutes": int(os.environ["PROTECT_MINUTES"])}
    agent = f"{os.environ['ECS_AGENT_URI']}/task-protection/v1/state"
    request = urllib.request.Request(agent, json.dumps(asked).encode(), method="PUT")  # noqa: S310 - the agent's
    urllib.request.urlopen(request).close()  # noqa: S310


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        ready = ready_after <= time.monotonic() - started < unready_after
        if self.path.startswith("/slow"):
            time.sleep(3)
        answers = ready or (self.path == "/" and "ANSWERS_ON" in os.environ)
        self.send_response(200 if answers else 503)
        self.send_header("X-Release", os.environ.get("VERSION", "1"))
        self.end_headers()
        self.wfile.write(os.environ.get("VERSION", "1").encode())

    def log_message(self, *_: object) -> None:
        pass


ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()  # noqa: S104 - in a container
