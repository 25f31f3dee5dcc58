"""The first process of a submitted job: `python -m pad_ray.pipeline.submission.start JOB`.

Ray unpacks the package into a folder of its own and starts this there.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import Any

import yaml

from pad_ray.pipeline.submission.package import PACKAGE, SETTINGS


def start(name: str, storage: str | None) -> None:
    """Run a job of the package in the working directory, with relative paths under `storage`."""
    package = Path.cwd()
    values = _located(
        yaml.safe_load((package / SETTINGS).read_text(encoding="utf-8")), str(package)
    )
    if storage is not None:
        if not os.path.isdir(storage):
            print(f"{name}: error: storage: {storage} is no folder on this node", file=sys.stderr)
            raise SystemExit(2)
        os.chdir(storage)
    sys.path.insert(0, str(package))
    job = runpy.run_path(str(package / "jobs" / f"{name}.py"))["JOB"]
    positional = [] if job.positional is None else [values.pop(job.positional)]
    located = package / f"located-{SETTINGS}"
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    located.write_text(text, encoding="utf-8")
    job.main(["--config", str(located), *positional])


def _located(value: Any, package: str) -> Any:
    if isinstance(value, dict):
        return {key: _located(inner, package) for key, inner in value.items()}
    if isinstance(value, list):
        return [_located(inner, package) for inner in value]
    return value.replace(PACKAGE, package) if isinstance(value, str) else value


if __name__ == "__main__":
    start(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
