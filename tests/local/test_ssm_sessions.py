"""Answers of Systems Manager's sessions on the local AWS."""

from __future__ import annotations

from slipway_local.emulator.patches.ssm_sessions import _answer


def test_each_answer_has_headers_of_its_own() -> None:
    """ministack writes the length of the first answer into them, and a longer one after it would not be sent."""
    first, second = _answer({}), _answer({"SessionId": "x"})
    first[1]["Content-Length"] = "2"
    assert "Content-Length" not in second[1]
