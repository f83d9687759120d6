"""The documentation's figures are about the stack files of the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.paths import FIXTURES


@pytest.fixture(scope="package", autouse=True)
def _project_of_the_tests() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(FIXTURES)
        yield
