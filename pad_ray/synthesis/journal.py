"""Completions as they come: what a teacher has answered stays, whatever dies before it is judged.

One folder a block of requests, with a JSON-lines file. What a request gave is a line, appended by a
single write: a killed process loses at most the requests in flight, and a torn line is skipped when
it is read. A machine that fails loses at most what came in the last moment, and nothing that was
handed on. In object storage, where nothing can be appended, each line is a file of its own.
"""

from __future__ import annotations

import errno
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

from pad_ray.base.records import Completion
from pad_ray.base.storage import is_remote
from pad_ray.flow.ledger import Totals
from pad_ray.synthesis.reasons import is_cut

__all__ = ["Journal", "Sample", "spent_in"]

_SUFFIX = ".jsonl"
# Waiting for the disk answer by answer would be slower than many a teacher.
_SYNC_EVERY_S = 0.2

# A problem's id, and the index of the sample.
Sample = tuple[str, int]


class Journal:
    """The answers of one block, in a folder; several processes may append to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / f"answers{_SUFFIX}"
        self._is_synced = True
        self._synced_at = -math.inf

    def read(self, asked: Mapping[Sample, str], most_tokens: int = 0) -> dict[Sample, Completion]:
        """Return the answers so far to what is asked for samples, by a key of that.

        Of two for one sample it is the first that is no error. One that was cut short at fewer
        tokens than `most_tokens` is none.
        """
        found: dict[Sample, Completion] = {}
        for row in _rows(self._folder):
            key = (row.pop("problem_id"), row.pop("sample_index"))
            limit = row.pop("most_tokens", 0)
            if row.pop("asked", None) != asked.get(key):
                continue
            completion = Completion(**row)
            if limit < most_tokens and is_cut(completion.text, completion.finish_reason):
                continue
            if key not in found or (found[key].error and not completion.error):
                found[key] = completion
        return found

    def append(
        self,
        answers: Mapping[Sample, Completion],
        asked: Mapping[Sample, str],
        most_tokens: int = 0,
    ) -> None:
        """Write what one request gave, as one line; `most_tokens` is what it was limited to."""
        rows = [
            {
                "problem_id": sample[0],
                "sample_index": sample[1],
                "asked": asked[sample],
                "most_tokens": most_tokens,
                **asdict(completion),
            }
            for sample, completion in answers.items()
        ]
        # The newline comes first: what a killed writer left is then a line of its own.
        line = ("\n" + json.dumps(rows)).encode()
        if is_remote(self._folder):
            (self._folder / f"{uuid4().hex}{_SUFFIX}").write_bytes(line)
            return
        self._folder.mkdir(exist_ok=True)
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            if os.write(descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._folder))
        finally:
            os.close(descriptor)
        self._is_synced = False
        if time.monotonic() - self._synced_at >= _SYNC_EVERY_S:
            self.sync()

    def sync(self) -> None:
        """Wait until all that was appended is on the disk; to be called before it is used."""
        if self._is_synced:
            return
        # The file's own name, and that of its folder, are in the folders above.
        for path in (self._file, self._folder, self._folder.parent):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self._is_synced = True
        self._synced_at = time.monotonic()


def spent_in(folder: Path) -> Totals:
    """Add up the tokens and the cost of all answers in a folder of journals."""
    totals = Totals()
    for row in _rows(folder):
        totals.prompt_tokens += row["prompt_tokens"] or 0
        totals.completion_tokens += row["completion_tokens"] or 0
        totals.cost_usd += row["cost_usd"] or 0.0
    return totals


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.rglob(f"*{_SUFFIX}")):
        with path.open("rb") as file:
            for line in file:
                try:
                    rows = json.loads(line)
                except ValueError:
                    continue
                if isinstance(rows, list):
                    yield from rows
