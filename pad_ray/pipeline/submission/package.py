"""What a submitted job takes along: code, settings, and the inputs that the settings name."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic_core import to_jsonable_python

import pad_ray
from pad_ray.base.config import Job, Settings
from pad_ray.base.errors import ConfigError
from pad_ray.base.storage import is_remote

SETTINGS = "job.yaml"
# Stands for the package's folder, whose place only the cluster knows.
PACKAGE = "{package}"
_INPUTS = "inputs"
_OUTPUT_FIELD = "out"
# Ray keeps packages in the head's memory and refuses larger ones.
_MOST_BYTES = 500 * 1024**2
_REST_BYTES = 16 * 1024**2
# A path as texts hold it: alone, `name=FILE` (contamination) or `FILE.py:TASK` (a task).
_IN_TEXT = re.compile(r"(?P<head>[\w-]+=)?(?P<path>[^:=]+)(?P<tail>:[A-Za-z_]\w*)?")


def pack(job: Job[Any], settings: Settings, folder: Path, storage: Path | None) -> str:
    """Fill a folder with all that a job needs; return the command that runs it there.

    Raises `ConfigError` for an input that is missing or too large to go along, and for a relative
    output without shared storage.
    """
    code = Path(pad_ray.__file__).parents[1]
    for name in ("pad_ray", "jobs"):
        shutil.copytree(code / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    inputs = _Inputs(folder, storage)
    values = to_jsonable_python(inputs.place(settings.model_dump()))
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    (folder / SETTINGS).write_text(text, encoding="utf-8")
    inputs.report()
    place = [] if storage is None else [str(storage)]
    return "exec " + shlex.join(
        ["python", "-m", "pad_ray.pipeline.submission.start", job.name, *place]
    )


@dataclass
class _Inputs:
    """Copies inputs into a package's folder and rewrites the settings that name them."""

    folder: Path
    storage: Path | None
    sizes: dict[str, int] = field(default_factory=dict)
    placed: dict[str, str] = field(default_factory=dict)

    def place(self, value: Any, name: str = "") -> Any:
        """Return settings with every local input's path replaced by its place in the package."""
        if isinstance(value, dict):
            return {key: self.place(inner, str(key)) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.place(inner, name) for inner in value]
        if isinstance(value, Path):
            return self._path(value, name)
        return self._text(value) if isinstance(value, str) else value

    def _path(self, path: Path, name: str) -> str:
        path = path.expanduser()
        if path.is_absolute() or is_remote(path):
            return str(path)
        if name != _OUTPUT_FIELD and path.exists():
            return self._copied(path)
        if self.storage is not None:
            return str(self.storage / path)
        if name == _OUTPUT_FIELD:
            raise ConfigError(
                f"out: {path} would be lost with the job; give --storage, a folder that every "
                "node mounts, or an absolute path in one"
            )
        raise ConfigError(
            f"{name}: {path} is not on this machine; give --storage, or an absolute path that "
            "every node sees"
        )

    def _text(self, text: str) -> str:
        """Replace a path in a text; plain names and hub ids, which no path here has, stay."""
        found = _IN_TEXT.fullmatch(text)
        if found is None:
            return text
        path = Path(found["path"])
        named = "/" in found["path"] or path.suffix != ""
        if not named or path.is_absolute() or not path.exists():
            return text
        return f"{found['head'] or ''}{self._copied(path)}{found['tail'] or ''}"

    def _copied(self, path: Path) -> str:
        key = str(path.resolve())
        if key not in self.placed:
            where = Path(_INPUTS, str(len(self.placed)), path.resolve().name)
            (self.folder / where).parent.mkdir(parents=True)
            self.sizes[str(path)] = _size(path)
            self._refuse_too_large()
            _copy(path)(str(path), str(self.folder / where))
            self.placed[key] = f"{PACKAGE}/{where}"
        return self.placed[key]

    def _refuse_too_large(self) -> None:
        total = sum(self.sizes.values()) + _REST_BYTES
        if total > _MOST_BYTES:
            largest = max(self.sizes, key=lambda path: self.sizes[path])
            raise ConfigError(
                f"{largest}: the inputs have {total / 1e6:,.0f} MB, and at most "
                f"{_MOST_BYTES / 1e6:,.0f} MB go along; put it on storage that every node mounts "
                "and give its absolute path"
            )

    def report(self) -> None:
        for path, size in self.sizes.items():
            print(f"submit: takes along {path} ({size / 1e6:,.1f} MB)")


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _copy(path: Path) -> Callable[[str, str], Any]:
    return shutil.copytree if path.is_dir() else shutil.copy
