"""Who is asked before something is changed that is not easily changed back."""

from __future__ import annotations

import io
import sys

import pytest
import typer

from infra.asking import confirm


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_persons_no_ends_the_command_and_a_yes_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    with pytest.raises(typer.Abort):
        confirm("Promote it to prod?", yes=False)
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    confirm("Promote it to prod?", yes=False)


@pytest.mark.parametrize(("given", "yes"), [(io.StringIO("n\n"), False), (Terminal("n\n"), True)])
def test_a_program_and_who_says_yes_are_not_asked(
    given: io.StringIO, yes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", given)
    confirm("Promote it to prod?", yes=yes)
    assert given.read() == "n\n"
