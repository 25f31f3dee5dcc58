"""`pad-ray JOB`, and `pad-ray doctor`: what works on this machine, with remedies."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version

from pad_ray import __version__
from pad_ray.base.commands import SCRIPT, find_job, job_names, purpose

_PACKAGES = ("ray", "torch", "transformers", "deepspeed", "datasets", "pyarrow")

Finding = tuple[str, bool, str]


def doctor() -> bool:
    """Print one line a finding; return whether everything needed works."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    findings = [*_versions(), *_devices(), *_ray(), *_sandbox()]
    table = Table("check", "", "detail")
    for name, works, detail in findings:
        table.add_row(name, "ok" if works else Text("FAILS", "red"), detail)
    Console(markup=False).print(table)
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

    from pad_ray.base.errors import PadError
    from pad_ray.flow.runtime import cluster_resources, connect, node_resources

    try:
        connect()
    except PadError as error:
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
    from pad_ray.sandbox.doctor import diagnose, summarise

    for check in summarise(diagnose()):
        yield f"sandbox: {check.name}", check.ok, check.detail


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the named job, or the doctor: exit status 1 where something needed fails."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    names = job_names()
    if given and given[0] in names:
        find_job(given[0]).main(given[1:])
        return
    parser = argparse.ArgumentParser(
        prog=SCRIPT, description="Each command tells its settings by --help."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("doctor", help="What works here, and the remedy for what does not.")
    for name in names:
        commands.add_parser(name, help=f"{purpose(name)}.")
    parser.parse_args(given)
    raise SystemExit(0 if doctor() else 1)


if __name__ == "__main__":
    main()
