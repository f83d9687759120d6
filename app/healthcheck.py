"""The container's health check, `python -m app.healthcheck`: exit 0 when this container's /livez answers 200.

Written with the standard library: the image has no curl, and the check must start fast.
"""

import http.client
import sys


def main(port: int = 8000) -> int:
    """Ask gunicorn on this host; a refused or slow answer counts as unhealthy."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/livez")
        return 0 if connection.getresponse().status == http.client.OK else 1
    except OSError:
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
