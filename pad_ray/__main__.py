"""`python -m pad_ray doctor`: what works on this machine, and the remedy for what does not."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from rich.console import Console
from rich.table import Table

from pad_ray import __version__
from pad_ray.sandbox.doctor import diagnose, summarise

_PACKAGES = ("ray", "torch", "transformers", "deepspeed", "datasets", "pyarrow")

Finding = tuple[str, bool, str]


def doctor() -> bool:
    """Print one line a finding; return whether everything needed works."""
    findings = [*_versions(), *_devices(), *_ray(), *_sandbox()]
    table = Table("check", "", "detail")
    for name, works, detail in findings:
        table.add_row(name, "ok" if works else "[red]FAILS[/red]", detail)
    Console().print(table)
    return all(works for _, works, _ in findings)


def _versions() -> Iterator[Finding]:
    python = platform.python_version()
    supported = (3, 11) <= sys.version_info[:2] < (3, 13)
    yield "python", supported, python if supported else f"{python}: install Python 3.11 or 3.12"
    yield "pad_ray", True, __version__
    for package in _PACKAGES:
        try:
            yield package, True, version(package)
        except PackageNotFoundError:
            yield package, False, "missing: pip install -r requirements.txt"


def _devices() -> Iterator[Finding]:
    import torch

    yield "processors", True, f"{os.cpu_count()} CPUs, torch uses {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        names = {torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
        yield "GPUs", True, f"{torch.cuda.device_count()}: {', '.join(sorted(names))}"
    else:
        yield "GPUs", True, "none seen by torch: students train and answer on CPUs"


def _ray() -> Iterator[Finding]:
    import ray

    from pad_ray.base.errors import ResourceError
    from pad_ray.flow.runtime import cluster_resources, connect, node_resources

    try:
        connect()
    except ResourceError as error:
        yield "ray", False, str(error)
        return
    resources = cluster_resources()
    where = os.environ.get("RAY_ADDRESS", "local")
    cpus, gpus = resources.get("CPU", 0), resources.get("GPU", 0)
    yield (
        f"ray cluster ({where})",
        True,
        f"{len(node_resources())} node(s), {cpus:g} CPU, {gpus:g} GPU",
    )
    ray.shutdown()


def _sandbox() -> Iterator[Finding]:
    for check in summarise(diagnose()):
        yield f"sandbox: {check.name}", check.ok, check.detail


def main() -> None:
    """Run the named command; exit status 1 where something needed fails."""
    parser = argparse.ArgumentParser(prog="python -m pad_ray")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="what works here, and the remedy for what does not")
    parser.parse_args()
    raise SystemExit(0 if doctor() else 1)


if __name__ == "__main__":
    main()
