"""Our decisions are those of another evaluator, on generated policies, but for differences that are explained.

`benchmarks/rights_second_opinion.py` asks that evaluator anew; its answers for one seed are recorded beside this file.
"""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.rights_second_opinion import cases, known_difference, our_answer


def test_generated_policies_are_decided_as_another_evaluator_does() -> None:
    recorded = json.loads((Path(__file__).parent / "second_opinion.json").read_text())
    made = cases(len(recorded["answers"]), recorded["seed"])
    ours = [our_answer(each) for each in made]
    theirs = [answer == "A" for answer in recorded["answers"]]
    assert len(made) >= 1000
    assert sum(theirs) > len(theirs) / 20, "enough of them are allowed"
    differing = [n for n, (our, their) in enumerate(zip(ours, theirs, strict=True)) if our != their]
    assert [n for n in differing if not known_difference(made[n])] == []
    assert len(differing) < 10
