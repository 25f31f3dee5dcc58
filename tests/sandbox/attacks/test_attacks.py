"""The table of attacks, run whole as root and as an unprivileged user: nothing gets anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pad_ray.sandbox.attacks.machine import MARKER, TARGET_FILE, Attack, attacks
from pad_ray.sandbox.doctor import Check, summarise
from pad_ray.sandbox.harmless import is_harmless

Records = list[dict[str, Any]]

_ROOT = Path(__file__).resolve().parents[3]
_USERS = ["this user"]
# The capability only lets the other user read an interpreter that lies in root's home; it makes
# an attacker stronger, not weaker.
_AS_NOBODY = (
    "setpriv --reuid=65534 --regid=65534 --clear-groups "
    "--inh-caps +dac_read_search --ambient-caps +dac_read_search"
).split()
if os.geteuid() == 0 and shutil.which("setpriv"):
    _USERS.append("nobody")


# The table is tried in parts, each within the time of a test.
_PARTS = 3


# Where there are both users, the weaker one meets the jail alone, without root's exemptions.
@pytest.fixture(
    scope="module",
    params=[
        pytest.param((user, part), marks=[pytest.mark.slow] if user != _USERS[-1] else [])
        for user in _USERS
        for part in range(_PARTS)
    ],
    ids=lambda param: f"{param[0]}, part {param[1]}",
)
def tried(request: pytest.FixtureRequest) -> tuple[int, Records]:
    """Run a part of the attacks as a user; return its number and what was seen."""
    user, part = request.param
    driver = [sys.executable, str(Path(__file__).with_name("driver.py")), str(part), str(_PARTS)]
    ran = subprocess.run(
        [*(_AS_NOBODY if user == "nobody" else []), *driver],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        text=True,
    )
    assert ran.returncode == 0
    return part, [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.fixture
def records(tried: tuple[int, Records]) -> Records:
    return tried[1]


def test_every_attack_was_tried(tried: tuple[int, Records]) -> None:
    part, records = tried
    wanted = [f"{a.family}: {a.name}" for a in attacks()[part::_PARTS]]
    assert [r["name"] for r in records] == wanted


def test_every_attack_is_stopped(records: Records) -> None:
    through = {r["name"]: r["alone"] for r in records if r["alone"] not in r["expected"]}
    assert through == {}


def test_an_attack_among_good_programs_ends_as_it_does_alone(records: Records) -> None:
    # An attack that spends time and memory at once ends by whichever limit it meets first.
    differ = {r["name"]: r["among"] for r in records if r["among"] not in r["expected"]}
    assert differ == {}


def test_the_neighbours_of_each_attack_are_right_and_in_order(records: Records) -> None:
    assert {r["name"]: r["wrong_neighbours"] for r in records if r["wrong_neighbours"]} == {}


def test_no_process_file_or_descriptor_is_left(records: Records) -> None:
    assert {r["name"]: r["traces"] for r in records if r["traces"]} == {}


def test_no_secret_of_the_owner_gets_out(records: Records) -> None:
    assert [r["name"] for r in records if r["leaked"]] == []


def test_no_attack_makes_work_for_the_owner(records: Records) -> None:
    # Parsing the largest report that the limits allow takes some milliseconds.
    assert {r["name"]: r["owner_cpu_s"] for r in records if r["owner_cpu_s"] > 0.2} == {}


@pytest.mark.parametrize(
    "name",
    [
        "read a file",
        "read it through the C library",
        "read the environment",
        "read /proc/self/environ",
        "search every object for a secret",
    ],
)
def test_without_the_sandbox_the_secret_does_get_out(name: str, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    planted.write_text(f"{MARKER}s3cret")
    program = next(a.program for a in attacks() if a.name == name)
    bare = subprocess.run(
        [sys.executable, "-c", _BARE, program.replace(TARGET_FILE, str(planted))],
        env={"PAD_RAY_PLANTED": f"{MARKER}s3cret"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert f"{MARKER}s3cret" in bare.stdout


_BARE = """
import ctypes, gc, os, sys
kept = [os.environ["PAD_RAY_PLANTED"]]
space = {}
exec(sys.argv[1], space)
print(space["solution"]())
"""


def test_the_table_is_large_and_names_each_attack_once() -> None:
    table = attacks()
    names = Counter(f"{attack.family}: {attack.name}" for attack in table)
    assert len(names) == len(table) > 200
    assert not [attack for attack in table if not attack.statuses]


def test_attacks_on_the_shared_process_are_let_into_it() -> None:
    shared = [attack for attack in attacks() if attack.family == "shared lane"]
    assert len(shared) > 30
    assert [attack.name for attack in shared if not _is_proved(attack)] == []


def test_attacks_on_neighbours_are_not_proved_harmless() -> None:
    spoilers = [attack for attack in attacks() if attack.family == "neighbours"]
    assert len(spoilers) > 20
    assert [attack.name for attack in spoilers if _is_proved(attack)] == []


def _is_proved(attack: Attack) -> bool:
    return is_harmless(compile(attack.program, attack.name, "exec"))


@pytest.mark.slow
def test_the_doctor_tries_all_attacks_and_counts_them() -> None:
    doctor = subprocess.run(
        [sys.executable, "-m", "pad_ray.sandbox", "doctor"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    *lines, count = doctor.stdout.splitlines()
    failed = [line for line in lines if not line.startswith("ok")]
    assert [line for line in failed if "layer landlock" not in line] == []
    assert len(lines) > len(attacks())
    assert count.startswith(f"{len(lines) - len(failed)} of {len(lines)} ok")
    assert doctor.returncode == bool(failed)


def test_the_doctors_summary_is_short_and_names_what_came_through() -> None:
    checks = [
        Check("layer seccomp", True, "holds"),
        Check("attack files: read a file", True, "forbidden"),
        Check("attack jail: mount", False, "ok"),
    ]
    assert summarise(checks) == [
        Check("layer seccomp", True, "holds"),
        Check("attacks", False, "1 of 2 stopped; not stopped: jail: mount"),
    ]
    assert summarise(checks[:2])[1] == Check("attacks", True, "1 of 1 stopped")
    refused = [Check("sandbox", False, "no sandbox here")]
    assert summarise(refused) == refused
