"""What a person is asked and told."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest
import typer

from slipway.cli import main
from slipway.cli.prompts import confirm
from slipway.config.errors import SlipwayError


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


def test_an_error_is_told_as_it_is_brackets_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(**_: object) -> None:
        raise SlipwayError("processes.web[0] [/srv] is wrong", "Take [red] out.")

    monkeypatch.setattr(main, "build_command", lambda: SimpleNamespace(main=fails))
    with pytest.raises(SystemExit) as ended:
        main.main()
    told = capsys.readouterr().err
    assert ended.value.code == 1
    assert "error: processes.web[0] [/srv] is wrong\nwhat to do: Take [red] out.\n" in told
