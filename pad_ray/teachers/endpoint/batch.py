"""Input files of OpenAI's Batch API: one line a sample, the request that a live teacher sends.

`vllm run-batch` and other services that take OpenAI's format read the same files. What comes back
is replayed by the teacher `recorded`, so a batch gives the rows that a live endpoint gives.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pad_ray.base.commands import command
from pad_ray.base.config import resolve
from pad_ray.base.errors import ConfigError, DataError
from pad_ray.base.records import Problem, row_id
from pad_ray.flow.stages import open_stage
from pad_ray.tasks.base import Exemplar
from pad_ray.tasks.settings import ProblemSettings
from pad_ray.teachers.endpoint.batch_settings import BatchSettings
from pad_ray.teachers.endpoint.requests import CHARS_A_TOKEN, prompt_chars, sample_body
from pad_ray.teachers.prompts import PROMPTS

__all__ = [
    "BatchFile",
    "BatchRequest",
    "batch_requests",
    "write_batch",
    "write_files",
]

_URL = "/v1/chat/completions"
_FILES = "requests-*.jsonl"
_REPLAYED = ("--teacher", "recorded", "--completions", "FOLDER", "--out", "OUT")


class BatchRequest(NamedTuple):
    """One line of an input file, its newline included; `characters` are those of the messages."""

    custom_id: str
    line: bytes
    characters: int


@dataclass
class BatchFile:
    """One input file and what is in it."""

    name: str
    requests: int = 0
    bytes: int = 0
    characters: int = 0

    def takes(self, size: int, most_requests: int, most_bytes: int) -> bool:
        return self.requests < most_requests and self.bytes + size <= most_bytes

    def add(self, request: BatchRequest) -> None:
        self.requests += 1
        self.bytes += len(request.line)
        self.characters += request.characters


def write_batch(settings: BatchSettings) -> dict[str, Any]:
    """Write the batch's files in `settings.out` and return the manifest.

    A finished directory with the same settings is returned as it is; more samples or problems are
    written into further files, and no request twice. Raises `DataError` where one request alone is
    larger than a file may be.
    """
    task, problems, repeated = settings.load()
    rise = ("samples", "count")
    stage = open_stage(resolve(settings.out), "batch", settings, may_rise=rise)
    if stage.complete is not None and not stage.grown:
        print(f"batch: {stage.out} is complete; nothing to do")
        _print_next(settings, stage.out)
        return stage.complete
    stage.claim()
    kept = [] if stage.complete is None else [BatchFile(**one) for one in stage.complete["files"]]
    there = _ids_in(stage.out, kept)
    requests = batch_requests(settings, problems, task.exemplars)
    wanted = (request for request in requests if request.custom_id not in there)
    if not kept:
        stage.begin()
    try:
        files = write_files(
            wanted, stage.out, settings.requests_per_file, settings.bytes_per_file, kept
        )
    except DataError:
        # Nothing is left of settings that cannot work, so that others may use the directory.
        _remove_files(stage.out, kept)
        if not kept:
            stage.withdraw()
        raise
    if kept:
        # Until now it is the finished one that it was, whatever files lie beside its own.
        stage.begin()
    counts = {
        "problems": len(problems),
        "samples_per_problem": settings.samples,
        "requests": sum(file.requests for file in files),
        "files": len(files),
        "repeated_questions": repeated,
    }
    tokens = {
        "prompt_estimate": sum(file.characters for file in files) // CHARS_A_TOKEN,
        "completion_limit": counts["requests"] * settings.endpoint.max_tokens,
    }
    manifest = stage.finish(
        {"counts": counts, "tokens": tokens, "files": [vars(file) for file in files]}
    )
    print(
        f"batch: {counts['requests']} requests in {len(files)} file(s), about "
        f"{tokens['prompt_estimate']} prompt tokens; written to {stage.out}"
    )
    if kept:
        print(f"batch: new are {', '.join(file.name for file in files[len(kept) :]) or 'none'}")
    _print_next(settings, stage.out)
    return manifest


def batch_requests(
    settings: BatchSettings, problems: Iterable[Problem], exemplars: Sequence[Exemplar]
) -> Iterator[BatchRequest]:
    """Yield one request a problem and sample; its custom id is the id of the sample's row."""
    prompt = PROMPTS[settings.format]
    for problem in problems:
        for index in range(settings.samples):
            body = sample_body(
                settings.endpoint, exemplars, settings.seed, problem, index, prompt=prompt
            )
            custom_id = row_id(problem.problem_id, index)
            request = {"custom_id": custom_id, "method": "POST", "url": _URL, "body": body}
            # Only ASCII: some tools take other line separators of Unicode for ends of lines.
            line = (json.dumps(request) + "\n").encode("ascii")
            yield BatchRequest(custom_id, line, prompt_chars(body))


def _ids_in(folder: Path, files: Iterable[BatchFile]) -> set[str]:
    """Return the custom ids of the requests in files."""
    found: set[str] = set()
    for file in files:
        with (folder / file.name).open("rb") as lines:
            found.update(str(json.loads(line)["custom_id"]) for line in lines)
    return found


def _remove_files(folder: Path, kept: Iterable[BatchFile]) -> None:
    names = {file.name for file in kept}
    for path in folder.glob(_FILES):
        if path.name not in names:
            path.unlink()


def write_files(
    requests: Iterable[BatchRequest],
    folder: Path,
    most_requests: int,
    most_bytes: int,
    kept: Sequence[BatchFile] = (),
) -> list[BatchFile]:
    """Write requests to requests-00000.jsonl …, no file above the limits, one line in memory.

    Files that are `kept` stay as they are, and are returned before the new ones; others, of an
    interrupted run, are replaced. Raises `DataError` for a request that fits no file
    and `ConfigError` where the folder cannot be written.
    """
    files: list[BatchFile] = []
    try:
        _remove_files(folder, kept)
        with ExitStack() as opened:
            for request in requests:
                size = len(request.line)
                if size > most_bytes:
                    raise DataError(
                        f"request {request.custom_id} takes {size} bytes, a file {most_bytes} "
                        "at most; raise megabytes_per_file or lower endpoint.shots"
                    )
                if not files or not files[-1].takes(size, most_requests, most_bytes):
                    opened.close()
                    number = len(kept) + len(files)
                    files.append(BatchFile(f"requests-{number:05d}.jsonl"))
                    file = opened.enter_context((folder / files[-1].name).open("wb"))
                file.write(request.line)
                files[-1].add(request)
    except OSError as error:
        raise ConfigError(f"out: cannot write in {folder}: {error.strerror}") from error
    return [*kept, *files]


def _print_next(settings: BatchSettings, out: Path) -> None:
    endpoint = settings.endpoint
    files = f"{shlex.quote(str(out))}/{_FILES}"
    print(
        "next, upload each file and start its batch, for example:\n"
        f"  for file in {files}; do curl {endpoint.base_url}/files -F purpose=batch "
        f'-F file=@"$file" -H "Authorization: Bearer ${endpoint.api_key_env}"; done\n'
        "then put the output and error files in one folder and replay them:\n"
        f"  {command('synthesize', *_problem_flags(settings), *_REPLAYED)}"
    )


def _problem_flags(settings: BatchSettings) -> list[str]:
    """Return the flags that make synthesis ask for the same samples."""
    flags = {
        name: value
        for name, field in ProblemSettings.model_fields.items()
        if (value := getattr(settings, name)) != field.get_default(call_default_factory=True)
    }
    flags["samples"] = settings.samples
    if settings.format != "program":
        flags["format"] = settings.format
    return [word for name, value in flags.items() for word in (f"--{name}", _as_flag(value))]


def _as_flag(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)
