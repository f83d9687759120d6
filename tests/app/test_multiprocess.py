"""The metrics of several processes: their sum, what an ended one has counted, and the newest exemplar of all."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.samples import Sample

from app.core.observability import multiprocess
from app.core.observability.multiprocess import AllProcesses, forget_process, keep_exemplar

TRACE, FORMER = {"trace_id": "new"}, {"trace_id": "old"}
BUCKET: dict[str, Any] = {"le": "0.1"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(multiprocess, "_exemplars", (0, -1))
    monkeypatch.setattr(multiprocess, "_slots", {})
    return tmp_path


def observed(folder: Path, pid: int, times: float) -> Path:
    """The file of a process that has observed as many times."""
    file = folder / f"histogram_{pid}.db"
    values = MmapedDict(str(file))
    values.write_value(mmap_key("took", "took_bucket", ("le",), (BUCKET["le"],), "Seconds"), times, 0.0)
    values.close()
    return file


def bucket() -> Sample:
    """The only bucket of the sum."""
    (metric,) = AllProcesses().collect()
    (sample,) = (sample for sample in metric.samples if sample.labels == BUCKET)
    return sample


def test_an_ended_process_still_counts_and_leaves_no_files(folder: Path) -> None:
    files = [observed(folder, 7, 3), observed(folder, 8, 2)]
    (folder / "exemplars-7").write_bytes(b"")
    assert bucket().value == 5
    for pid in (7, 8, 9):
        forget_process(pid)
    assert bucket().value == 5
    assert not any(file.exists() for file in (*files, folder / "exemplars-7"))


@pytest.mark.parametrize("content", [b"", b"\xff" * 64])
def test_a_file_that_cannot_be_read_is_left_out_and_goes_with_its_process(folder: Path, content: bytes) -> None:
    observed(folder, 7, 3)
    broken = folder / "histogram_8.db"
    broken.write_bytes(content)
    assert bucket().value == 3
    forget_process(8)
    assert (bucket().value, broken.exists()) == (3, False)


def test_the_newest_exemplar_of_all_processes_is_told(folder: Path) -> None:
    observed(folder, 7, 3)
    keep_exemplar("took_bucket", BUCKET, {"trace_id": "first"}, 0.09)
    keep_exemplar("took_bucket", BUCKET, TRACE, 0.05)
    keep_exemplar("took_bucket", {"le": "x" * multiprocess.SLOT_BYTES}, TRACE, 0.05)  # too long, and left out
    former = json.dumps(["took_bucket", BUCKET, FORMER, 0.01, time.time() - 60])
    (folder / "exemplars-1").write_text(f'{former}\n["took_bucket", {{"le"')  # being written
    exemplar = bucket().exemplar
    assert exemplar is not None
    assert (exemplar.labels, exemplar.value) == (TRACE, 0.05)
    (folder / f"exemplars-{os.getpid()}").unlink()
    exemplar = bucket().exemplar
    assert exemplar is not None
    assert exemplar.labels == FORMER
