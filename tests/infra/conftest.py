"""What all tests of the infrastructure have in common."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from pulumi.runtime import resource
from pulumi.runtime.proto import source_pb2

from tests.paths import FIXTURES


def pytest_collection_finish() -> None:
    """pulumi_aws makes so many classes that looking for garbage among them is half of what these tests compute."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    # Nor does any of them ask where in the program a resource was made, with all of pytest's frames above it.
    resource._get_stack_trace = source_pb2.StackTrace


@pytest.fixture(scope="package", autouse=True)
def _project_of_the_tests() -> Iterator[None]:
    """These tests run in a project of their own, whatever a team makes of the repository's stack files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(FIXTURES)
        yield
