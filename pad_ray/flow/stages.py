"""A stage's directory: what it was made from, whether it is complete, and how it ended."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

import pad_ray
from pad_ray.base.config import Settings
from pad_ray.base.errors import ConfigError, DataError, reason_of
from pad_ray.base.storage import is_remote

MANIFEST = "manifest.json"
CONFIG = "config.yaml"


@dataclass(frozen=True)
class Stage:
    """An open stage directory; `complete` holds the manifest of an earlier, finished run.

    `laps` are the seconds of its parts so far, of this run alone.
    """

    out: Path
    job: str
    record: dict[str, Any]
    started: float
    complete: dict[str, Any] | None
    laps: dict[str, float] = field(default_factory=dict)

    def lap(self, part: str) -> None:
        """Note that a part of the stage has just ended; the manifest tells how long each took."""
        self.laps[part] = round(time.time() - self.started - sum(self.laps.values()), 3)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.record)

    def begin(self) -> None:
        """Claim the directory for these settings; called when nothing more can be refused."""
        text = yaml.safe_dump({"job": self.job, **self.record}, sort_keys=False, allow_unicode=True)
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            write_text(self.out / CONFIG, text)
        except OSError as error:
            raise ConfigError(f"out: cannot write in {self.out}: {reason_of(error)}") from error

    def finish(self, result: dict[str, Any]) -> dict[str, Any]:
        """Write the manifest, which marks the stage as complete, and return it."""
        self.lap("finish")
        manifest = {
            "job": self.job,
            "fingerprint": self.fingerprint,
            **result,
            "config": self.record["settings"],
            "inputs": self.record["inputs"],
            "versions": versions(),
            "wall_s": round(time.time() - self.started, 3),
            "seconds": self.laps,
            "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        write_json(self.out / MANIFEST, manifest)
        return manifest


def fingerprint(record: object) -> str:
    """Return 16 hex digits that change with any value of a JSON-ready record."""
    text = json.dumps(record, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_fingerprint(path: Path) -> str:
    """Return the first 16 hex digits of a file's SHA-256."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {reason_of(error)}") from error


def stage_record(settings: Settings, inputs: dict[str, str]) -> dict[str, Any]:
    """Return what decides a stage's rows: its settings and its inputs' fingerprints."""
    return {"settings": settings.row_settings(), "inputs": inputs}


def stage_folder(out: Path, name: str, run: Settings, inputs: Sequence[str]) -> Path:
    """Return the folder of one stage among others, named after its settings and inputs too."""
    record = stage_record(run, {str(i): value for i, value in enumerate(inputs)})
    return out / f"{name}-{fingerprint(record)[:8]}"


def open_stage(out: Path, job: str, settings: Settings, inputs: dict[str, str]) -> Stage:
    """Look at a stage's directory, without writing; refuse one made by other settings."""
    record = stage_record(settings, inputs)
    if (out / CONFIG).is_file():
        _refuse_other_settings(out, job, record)
    elif out.is_dir() and any(out.iterdir()):
        raise ConfigError(f"out: {out} is not empty and was not made by this job; name another")
    manifest = out / MANIFEST
    complete = read_manifest(out) if manifest.is_file() else None
    return Stage(out, job, record, time.time(), complete)


def _refuse_other_settings(out: Path, job: str, record: dict[str, Any]) -> None:
    old = yaml.safe_load((out / CONFIG).read_text()) or {}
    if old.get("job") != job:
        raise ConfigError(f"out: {out} was made by job '{old.get('job')}'; name another directory")
    changed = [
        f"{field} ({before.get(field)!r} there, {after.get(field)!r} now)"
        for before, after in ((old.get(part, {}), record[part]) for part in ("settings", "inputs"))
        for field in sorted({*before, *after})
        if before.get(field) != after.get(field)
    ]
    if changed:
        raise ConfigError(
            f"out: {out} was made with other settings: {'; '.join(changed)}; "
            "name another directory or delete this one"
        )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a stage's manifest; `DataError` if the folder holds no finished stage."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError:
        raise DataError(f"{folder}: no {MANIFEST}: not a finished stage of pad-ray") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / MANIFEST}: cannot be read: {error}") from error
    if not isinstance(manifest, dict) or "fingerprint" not in manifest:
        raise DataError(f"{folder / MANIFEST}: is not a manifest of pad-ray (no 'fingerprint')")
    return manifest


def input_fingerprints(name: str, folders: Sequence[Path]) -> dict[str, str]:
    """Return the fingerprints of finished stages as the inputs of another one, numbered."""
    return {f"{name}_{i}": read_manifest(f)["fingerprint"] for i, f in enumerate(folders)}


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
