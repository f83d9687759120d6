"""What all tests of the infrastructure have in common."""

from __future__ import annotations

import gc


def pytest_collection_finish() -> None:
    """pulumi_aws makes so many classes that looking for garbage among them is half of what these tests compute."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
