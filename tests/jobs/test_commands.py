"""Commands of the pages and shipped settings, and those that jobs print, as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name

import pytest
from pages import ROOT, USERS_PAGES, fences_of

from pad_ray.__main__ import main
from pad_ray.base.commands import SCRIPT, command, find_job, job_names, purpose
from pad_ray.base.config import Settings
from pad_ray.pipeline.submission.run import SubmitSettings, _follow_command

TEACHER = "endpoint: {base_url: 'http://127.0.0.1:8000/v1', model: m}\n"


def blocks() -> Iterator[tuple[str, str]]:
    """Yield the blocks of README.md and docs/, each with the line before it."""
    for page in USERS_PAGES:
        for before, _, block in fences_of(page):
            yield before, block


def commands() -> list[str]:
    """Return the commands of the pages' blocks and of the heads of shipped settings."""
    text = "\n".join(block for _, block in blocks())
    lines = text.replace("\\\n", " ").splitlines()
    for config in sorted((ROOT / "jobs/configs").glob("*.yaml")):
        comments = [line for line in config.read_text().splitlines() if line.startswith("#")]
        lines += [line[line.index(SCRIPT) :] for line in comments if f"{SCRIPT} " in line]
    return [line.removeprefix("$ ") for line in lines if re.match(rf"(\$ )?{SCRIPT} ", line)]


def parsed(text: str) -> Settings:
    """Return the settings of a job's command, by the parser that the job itself has."""
    words = shlex.split(text, comments=True)
    # The script, wherever it is, or `python -m pad_ray` where it is not installed.
    start = next(n for n, word in enumerate(words) if Path(word).name in (SCRIPT, "pad_ray"))
    job, *flags = words[start + 1 :]
    settings: Settings = find_job(job).parse(flags)
    if isinstance(settings, SubmitSettings) and settings.job != "follow":
        find_job(settings.job).parse(settings.arguments)
    return settings


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory as the pages have it: shipped settings, and the user's own files."""
    (tmp_path / "jobs").symlink_to(ROOT / "jobs")
    (tmp_path / "teacher.yaml").write_text(TEACHER)
    for before, block in blocks():
        # A file's name is its first line, or in the sentence before it.
        if named := re.match(r"# (\w+\.yaml)\n", block) or (
            re.search(r"`(\w+\.yaml)`[^`]*:$", before)
        ):
            (tmp_path / named[1]).write_text(block)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", commands())
def test_a_command_of_the_pages_or_of_shipped_settings_parses(checkout: Path, text: str) -> None:
    assert isinstance(parsed(text), Settings)


def test_the_pages_show_most_jobs() -> None:
    used = {shlex.split(text)[1] for text in commands()}
    assert {"synthesize", "train", "evaluate", "solve", "submit", "export", "plan"} <= used
    for page in USERS_PAGES:
        inline = re.findall(rf"`{SCRIPT} ([a-z_]+)", page.read_text())
        assert set(inline) <= {*job_names(), "doctor"}, page


def test_no_job_prints_the_command_of_another_place() -> None:
    """What is printed goes through `command`; a file under jobs/ may be elsewhere, or not there."""
    sources = [*(ROOT / "pad_ray").rglob("*.py"), *(ROOT / "pad_ray").rglob("*.j2")]
    told = re.compile(r"python jobs/|jobs/\w+\.py")
    found = [str(path) for path in sources if told.search(path.read_text())]
    assert found == [str(ROOT / "pad_ray/base/commands.py")]  # how `jobs/NAME.py` is found


def printed(checkout: Path) -> Iterator[str]:
    yield command("solve", "--student", checkout / "a student", "How many $5 'notes'?")
    submitted = find_job("submit").parse(["synthesize", "--address", "http://head:8265"])
    yield _follow_command(submitted, "raysubmit_1")


def test_printed_commands_parse(checkout: Path) -> None:
    for text in printed(checkout):
        assert isinstance(parsed(text), Settings)


def test_a_printed_command_runs_from_where_it_was_printed(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a shell without any activated environment, as after `make demo`."""
    monkeypatch.setenv("PATH", os.defpath)
    flags = ["--task", "a $HOME 'task'", "--teacher", "scripted", "--out", "out"]
    text = command("synthesize", *flags)
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(text, shell=True, env=environment, capture_output=True, text=True)
    assert ran.returncode == 2 and ran.stderr.count("\n") == 1, ran.stderr
    assert ran.stderr.startswith("synthesize: error: ") and "a $HOME 'task'" in ran.stderr


@pytest.mark.parametrize(
    ("place", "on_path", "expected"),
    [
        (".venv/bin", False, ".venv/bin/pad-ray"),
        (".venv/bin", True, "pad-ray"),
        ("../else where/bin", False, "'{}/pad-ray'"),
        (".", False, "{}/pad-ray"),
    ],
)
def test_the_script_is_named_as_the_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, on_path: bool, expected: str
) -> None:
    here = tmp_path / "here"
    bin = Path(os.path.normpath(here / place))
    for folder in (here, bin):
        folder.mkdir(parents=True, exist_ok=True)
    (bin / SCRIPT).write_text("#!/bin/sh\n")
    (bin / SCRIPT).chmod(0o755)
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "executable", str(bin / "python"))
    monkeypatch.setenv("PATH", str(bin) if on_path else os.defpath)
    assert command("solve", "a b") == f"{expected.format(bin)} solve 'a b'"


def test_the_script_is_declared() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert resolve_name(declared[SCRIPT]) is main


def test_help_names_every_job(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--help"])
    assert exited.value.code == 0
    shown = capsys.readouterr().out
    for name in job_names():
        assert re.search(rf"^ +{name}\b", shown, re.MULTILINE), name
        assert len(purpose(name)) > 10


def test_a_job_by_name_is_the_job(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("solve", "train_verifier"):
        with pytest.raises(SystemExit) as exited:
            main([name, "--help"])
        assert exited.value.code == 0
        assert f"usage: {name}" in capsys.readouterr().out
    with pytest.raises(SystemExit) as exited:
        main(["sovle"])
    assert exited.value.code == 2 and "invalid choice: 'sovle'" in capsys.readouterr().err


def test_a_job_by_name_imports_nothing_heavy() -> None:
    ask = (
        "import sys\n"
        "from pad_ray.__main__ import main\n"
        "try:\n    main(['evaluate', '--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = set(sys.modules) & set('torch ray transformers pandas pyarrow rich'.split())\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    ran = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
