"""How an app that stacks/app.yaml names by its module is served, where it has no command of its own.

The time-outs form a chain with the load balancer and ECS (infra/contract.py, and a test compares both sides): an app
that brings its own server has to keep to it (docs/your-app.md).
"""

import os

wsgi_app = os.environ["SLIPWAY_MODULE"]
bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"
worker_class = "uvicorn_worker.UvicornWorker"
workers = int(os.environ.get("WEB_CONCURRENCY", "4"))
accesslog = "-"

# Longer than the load balancer's idle time-out (requestTimeout): a connection is never closed by the side that serves
# it, which the load balancer would report as a 502.
keepalive = int(os.environ.get("KEEPALIVE", "75"))
# How long requests in flight may take after SIGTERM; shorter than the container's stopTimeout.
graceful_timeout = int(os.environ.get("GRACEFUL_TIMEOUT", "30"))
timeout = int(os.environ.get("REQUEST_TIMEOUT", "60"))

# The root file system is read-only: heartbeats go to memory, and there is no control socket.
worker_tmp_dir = "/dev/shm"  # noqa: S108
control_socket_disable = True
