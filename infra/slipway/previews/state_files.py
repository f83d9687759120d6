"""Lists the stacks of a file backend despite damaged state files.

`pulumi stack ls` fails if one state is damaged, and does not name it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import boto3

STATE_FILE_PATTERN = re.compile(r"^(?P<stack>[^/]+)\.json(\.gz)?$")
"""Names of state files; next to them are `.bak` (the previous state), `.attrs` and `.pulumi-tags`."""
STATE_READ_ERRORS = (
    "unexpected end of JSON input",
    "invalid character",
    "failed to load checkpoint",
    "cannot unmarshal",
)
"""Pulumi's messages for a state that is not JSON."""


def is_state_read_error(message: str) -> bool:
    """Whether a Pulumi error is about a damaged state file."""
    return any(text in message for text in STATE_READ_ERRORS)


def list_state_files(backend_url: str, project: str) -> dict[str, str]:
    """Returns stack -> state file, of a backend in a folder or in S3; empty for any other backend."""
    parts = urlsplit(backend_url)
    if parts.scheme == "file":
        folder = _local_folder(backend_url, project)
        paths = [str(path) for path in folder.iterdir()] if folder.is_dir() else []
    elif parts.scheme == "s3":
        paths = list(_list_s3(backend_url, project))
    else:
        paths = []
    names = {path: STATE_FILE_PATTERN.match(path.rsplit("/", 1)[-1]) for path in paths}
    return {match["stack"]: path for path, match in names.items() if match}


def _local_folder(backend_url: str, project: str) -> Path:
    # Like Pulumi: file://~ is the home folder, file:///srv/state is absolute.
    text = unquote(backend_url.removeprefix("file://").partition("?")[0])
    return Path(text).expanduser() / ".pulumi" / "stacks" / project


def _key_prefix(path: str, project: str) -> str:
    folder = path.strip("/")
    return f"{folder}/.pulumi/stacks/{project}/" if folder else f".pulumi/stacks/{project}/"


def _list_s3(backend_url: str, project: str) -> Iterator[str]:
    parts = urlsplit(backend_url)
    options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    endpoint = options.get("endpoint", "")
    if endpoint and "://" not in endpoint:
        endpoint = f"{'http' if options.get('disableSSL') == 'true' else 'https'}://{endpoint}"
    session = boto3.Session(region_name=options.get("region"), profile_name=options.get("profile"))
    s3 = session.client("s3", endpoint_url=endpoint or None)
    prefix = _key_prefix(parts.path, project)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=parts.netloc, Prefix=prefix):
        for entry in page.get("Contents", []):
            yield f"s3://{parts.netloc}/{entry['Key']}"
