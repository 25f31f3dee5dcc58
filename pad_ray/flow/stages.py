"""A stage's directory: what it was made from, whether it is complete, and how it ended."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

import pad_ray
from pad_ray.base.config import Settings
from pad_ray.base.errors import ConfigError, DataError, reason_of
from pad_ray.base.fields import Difference, differences, input_values, sparse
from pad_ray.base.storage import is_remote
from pad_ray.flow.holding import ATTEMPTS, LOCK, Attempts, begin_attempt, hold, let_go

MANIFEST = "manifest.json"
CONFIG = "config.yaml"


@dataclass(frozen=True)
class Stage:
    """An open stage directory; `complete` holds the manifest of an earlier, finished run.

    `record` is what is written down of settings and inputs, `fingerprint` stands for those that
    decide rows. `changed` is what may be more now than it was there. `laps` are the seconds of its
    parts so far, of this run alone.
    """

    out: Path
    job: str
    record: dict[str, Any]
    fingerprint: str
    started: float
    complete: dict[str, Any] | None
    refuse_others: Callable[[], tuple[Difference, ...]]
    changed: tuple[Difference, ...] = ()
    laps: dict[str, float] = field(default_factory=dict)
    attempts: list[Attempts] = field(default_factory=list)

    @property
    def grown(self) -> tuple[str, ...]:
        """The names of what has changed."""
        return tuple(difference.key for difference in self.changed)

    def lap(self, part: str) -> None:
        """Note that a part of the stage has just ended; the manifest tells how long each took."""
        self.laps[part] = round(time.time() - self.started - sum(self.laps.values()), 3)

    def begin(self) -> None:
        """Claim the directory for these settings; called when nothing more can be refused.

        No other process may until this stage is finished or this process has ended.
        """
        self.claim()
        record = {"job": self.job, "fingerprint": self.fingerprint, **self.record}
        text = yaml.safe_dump(record, sort_keys=False, allow_unicode=True)
        try:
            attempt = begin_attempt(self.out, self.complete, self.started)
            self.attempts[:] = [attempt]
            write_json(self.out / ATTEMPTS, vars(attempt))
            write_text(self.out / CONFIG, text)
        except OSError as error:
            raise ConfigError(f"out: cannot write in {self.out}: {reason_of(error)}") from error

    def claim(self) -> None:
        """Keep other processes out; `ConfigError` for what one has done since `open_stage`."""
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            hold(self.out)
        except OSError as error:
            raise ConfigError(f"out: cannot write in {self.out}: {reason_of(error)}") from error
        self.refuse_others()
        if self.complete is None and _complete(self.out) is not None:
            raise ConfigError(
                f"out: {self.out} has just been finished by another run; run the same command again"
            )

    def withdraw(self) -> None:
        """Leave the directory to other settings; what was written into it is the job's to take."""
        for name in (CONFIG, ATTEMPTS):
            (self.out / name).unlink(missing_ok=True)
        let_go(self.out)

    def finish(self, result: dict[str, Any]) -> dict[str, Any]:
        """Write the manifest, which marks the stage as complete, and return it."""
        self.lap("finish")
        attempt = self.attempts[0] if self.attempts else Attempts(1, 0.0, self.started)
        manifest = {
            "job": self.job,
            "fingerprint": self.fingerprint,
            **result,
            "config": self.record["settings"],
            "inputs": self.record["inputs"],
            "versions": versions(),
            "wall_s": attempt.wall_s,
            "attempts": attempt.count,
            "seconds": self.laps,
            "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        write_json(self.out / MANIFEST, manifest)
        (self.out / ATTEMPTS).unlink(missing_ok=True)
        let_go(self.out)
        return manifest


def fingerprint(record: object) -> str:
    """Return 16 hex digits that change with any value of a JSON-ready record."""
    text = json.dumps(record, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_fingerprint(path: Path) -> str:
    """Return the first 16 hex digits of a file's SHA-256."""
    try:
        if is_remote(path):
            return _digest(path)
        told = path.stat()
        return _local_digest(path, told.st_size, told.st_mtime_ns)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {reason_of(error)}") from error


@cache
def _local_digest(path: Path, size: int, modified_ns: int) -> str:
    # Weights may be many gigabytes, and several stages of a run ask for them.
    return _digest(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def stage_fingerprint(settings: Settings, inputs: Mapping[str, str]) -> str:
    """Return the fingerprint of all that decides a stage's rows.

    Settings at their default are not in it, so that a new one changes nothing.
    """
    decisive = sparse(type(settings), settings.model_dump(mode="json"))
    return fingerprint({"settings": decisive, "inputs": dict(inputs)})


def stage_folder(out: Path, name: str, run: Settings, marks: Sequence[str] = ()) -> Path:
    """Return the folder of one stage among others, named after its settings and inputs too.

    `marks` are inputs that the settings do not name.
    """
    inputs = run.inputs()
    marked = inputs | {str(i): value for i, value in enumerate(marks)}
    folder = out / f"{name}-{stage_fingerprint(run, marked)[:8]}"
    if not folder.exists():
        record = {"settings": run.row_settings(), "inputs": inputs}
        for older in sorted(out.glob(f"{glob.escape(name)}-{'?' * 8}")):
            if _is_older(older, type(run), record, set(marks)):
                return older
    return folder


def _is_older(folder: Path, model: type[Settings], record: dict[str, Any], marks: set[str]) -> bool:
    """Tell whether a folder that an earlier version named otherwise was made from the same."""
    if not (folder / CONFIG).is_file():
        return False
    old = _read_record(folder)
    if "fingerprint" in old:
        return False
    settings = {k: v for k, v in (old.get("settings") or {}).items() if k in model.model_fields}
    inputs = old.get("inputs") or {}
    changed = _changed_inputs(model, {"settings": settings, "inputs": inputs}, record)
    return (
        marks <= set(inputs.values())
        and all(one.there in marks for one in changed)
        and not differences(model, settings, record["settings"])
    )


def open_stage(
    out: Path,
    job: str,
    settings: Settings,
    inputs: Mapping[str, str] | None = None,
    may_grow: Collection[str] = (),
    remedies: Mapping[str, str] | None = None,
    may_rise: Collection[str] = (),
) -> Stage:
    """Look at a stage's directory, without writing; refuse one made by other settings.

    `inputs` are fingerprints of inputs beside those that the settings name. Where only settings and
    inputs of `may_grow` differ, the stage tells them as `changed`, and it is for the job to see
    whether they are more than they were; numbers of `may_rise` are, or are refused. `remedies` say
    what else can be done about a difference.
    """
    record = {
        "settings": settings.row_settings(),
        "inputs": settings.inputs() | dict(inputs or {}),
    }

    def refuse_others() -> tuple[Difference, ...]:
        changed = _differences(out, job, type(settings), record)
        if not all(d.key in may_grow or (d.key in may_rise and d.is_more) for d in changed):
            raise ConfigError(_refusal(out, changed, remedies or {}))
        return tuple(changed)

    changed = refuse_others()
    mark = stage_fingerprint(settings, record["inputs"])
    return Stage(out, job, record, mark, time.time(), _complete(out), refuse_others, changed)


def is_complete(folder: Path) -> bool:
    """Tell whether a stage's directory holds a finished run."""
    return _complete(folder) is not None


def _complete(out: Path) -> dict[str, Any] | None:
    """Return the manifest of a directory, unless more has been begun there since it was written."""
    if not (out / MANIFEST).is_file():
        return None
    manifest = read_manifest(out)
    begun = _read_record(out).get("fingerprint") if (out / CONFIG).is_file() else None
    return manifest if begun in (None, manifest["fingerprint"]) else None


def _differences(
    out: Path, job: str, model: type[Settings], record: dict[str, Any]
) -> list[Difference]:
    """Return what is not as it was; `ConfigError` for a directory that is not this job's."""
    if not (out / CONFIG).is_file():
        # Of a run that was killed before it wrote its settings.
        if out.is_dir() and any(not _is_left_over(path) for path in out.iterdir()):
            raise ConfigError(f"out: {out} is not empty and was not made by this job; name another")
        return []
    old = _read_record(out)
    if old.get("job") != job:
        raise ConfigError(f"out: {out} was made by job '{old.get('job')}'; name another directory")
    changed = differences(model, old.get("settings") or {}, record["settings"])
    return changed + _changed_inputs(model, old, record)


def _refusal(out: Path, changed: Sequence[Difference], remedies: Mapping[str, str]) -> str:
    """Say in one line why a directory is not gone on with, and what to do."""
    ways = ["put back what was there, name another directory or delete this one"]
    ways += dict.fromkeys(remedies[one.key] for one in changed if one.key in remedies)
    told = "; ".join(map(str, changed))
    return f"out: {out} was made with other settings: {told}; {'; '.join(ways)}"


def _is_left_over(path: Path) -> bool:
    return path.name in (LOCK, ATTEMPTS) or (
        path.name.startswith(".") and path.name.endswith(".partial")
    )


def _read_record(out: Path) -> dict[str, Any]:
    try:
        old = yaml.safe_load((out / CONFIG).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{out / CONFIG}: cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(old, dict):
        raise DataError(f"{out / CONFIG}: is not the settings of a stage of pad-ray")
    return old


def _changed_inputs(
    model: type[Settings], old: dict[str, Any], new: dict[str, Any]
) -> list[Difference]:
    there, now = old.get("inputs") or {}, new["inputs"]
    keys = sorted(key for key in {*there, *now} if there.get(key) != now.get(key))
    # What a hub's name meant is not known of every run.
    keys = [key for key in keys if not (key.endswith("/revision") and _lacks(key, there, now))]
    if "fingerprint" not in old:
        # Earlier versions counted less of what an input is, or went by its name.
        named = (input_values(model, part["settings"] or {}) for part in (old, new))
        before, after = ({k: str(v) for k, v in part.items()} for part in named)
        known = {key.partition("/")[0] for key in there}
        same = known | {name for name in after if before.get(name) == after[name]}
        keys = [key for key in keys if key in there or key.partition("/")[0] not in same]
    return [Difference(key, there.get(key), now.get(key)) for key in keys]


def _lacks(key: str, *records: Mapping[str, str]) -> bool:
    return any(key not in record for record in records)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a stage's manifest; `DataError` if the folder holds no finished stage."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{folder}: no {MANIFEST}: not a finished stage of pad-ray") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / MANIFEST}: cannot be read: {error}") from error
    if not isinstance(manifest, dict) or "fingerprint" not in manifest:
        raise DataError(f"{folder / MANIFEST}: is not a manifest of pad-ray (no 'fingerprint')")
    return manifest


def input_fingerprints(name: str, folders: Sequence[Path]) -> dict[str, str]:
    """Return the fingerprints of finished stages as the inputs of another one, numbered."""
    return {f"{name}_{i}": rows_mark(read_manifest(f)) for i, f in enumerate(folders)}


def rows_mark(manifest: Mapping[str, Any]) -> str:
    """Return what a finished stage's rows are known by: themselves, where it says so.

    The same settings need not make the same rows: of an endpoint, or after `--retry_errors`.
    """
    return str(manifest.get("rows_fingerprint") or manifest["fingerprint"])


def refuse_augmented(name: str, folders: Sequence[Path], instead: str) -> None:
    """Raise `DataError` for a directory of `augment`: its rejected programs are no wrong ones."""
    for folder in folders:
        if read_manifest(folder).get("job") == "augment":
            raise DataError(f"{name}: {folder} was made by job 'augment'; {instead}")


def print_reasons(by_reason: Mapping[str, int]) -> None:
    """Print how many rows were rejected, a line a reason."""
    for reason, count in by_reason.items():
        print(f"  {reason:<14}{count}")


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    packages = ("ray", "torch", "transformers", "deepspeed", "pyarrow")
    return {
        "pad_ray": pad_ray.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def write_json(path: Path, value: object) -> None:
    """Write JSON at once or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text at once or not at all: a reader never sees half a file."""
    if is_remote(path):  # an object appears whole
        path.write_text(text, encoding="utf-8")
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
