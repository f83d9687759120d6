"""A ministack with the rights layer before it, for tests: `python -m tests.local.rights.server --port 4566`."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--usage", type=Path)
    parser.add_argument("--without-rights", action="store_true")
    arguments = parser.parse_args()
    os.environ |= {"GATEWAY_PORT": str(arguments.port), "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "LOG_LEVEL": "WARNING"}
    os.environ.pop("AWS_ENDPOINT_URL", None)

    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    from slipway_local.rights.layer import through_rights
    from slipway_local.rights.local_authorizer import local_authorizer

    authorizer = local_authorizer(arguments.usage, lambda host, path: False)

    async def with_tasks(scope: object, receive: object, send: object) -> None:
        """Adds a task for a role, as the emulator's ECS does when one begins: GET /_test/task?<role ARN>."""
        if isinstance(scope, dict) and scope.get("path") == "/_test/task":
            path = authorizer.tasks.add(
                scope["query_string"].decode(), "arn:aws:ecs:us-east-1:000000000000:task/c/0123abcd"
            )
            await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
            await send({"type": "http.response.body", "body": path.encode()})  # type: ignore[operator]
            return
        await app(scope, receive, send)

    config = Config()
    config.bind = [f"127.0.0.1:{arguments.port}"]
    config.keep_alive_timeout = 75
    served = app if arguments.without_rights else through_rights(with_tasks, authorizer)
    asyncio.run(serve(served, config))


if __name__ == "__main__":
    main()
