"""SNS: a subject is at most 100 printable ASCII characters and begins with no space; ministack takes any.

https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ministack.services import sns

Parameters = dict[str, Any]
SUBJECT = re.compile(r"[!-~][ -~]{0,99}")


def install() -> None:
    """Puts these behaviours in the place of ministack's."""
    sns._publish = _refuse_wrong_subject(sns._publish)
    sns._publish_batch = _refuse_wrong_subject(sns._publish_batch)


def _refuse_wrong_subject(original: Callable[[Parameters], Any]) -> Callable[[Parameters], Any]:
    """AWS refuses the one entry of a batch; here the whole request is refused."""

    def publish(parameters: Parameters) -> Any:
        for name in parameters:
            if name == "Subject" or (name.startswith("PublishBatchRequestEntries.") and name.endswith(".Subject")):
                subject = sns._p(parameters, name)
                if subject and not SUBJECT.fullmatch(subject):
                    return sns._error("InvalidParameter", "Invalid parameter: Subject", 400)
        return original(parameters)

    return publish
