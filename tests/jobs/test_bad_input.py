"""Bad input to a job: one line on stderr, exit status 2, no traceback, nothing written."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pad_ray.config import run_job
from pad_ray.records import JUDGED_SCHEMA
from pad_ray.stages import CONFIG, MANIFEST

JOBS = Path(__file__).parents[2] / "jobs"

# Job name: (module, settings model, function, positional field), as in jobs/*.py.
ENTRIES: dict[str, tuple[str, str, str, str | None]] = {
    "synthesize": ("pad_ray.synthesis", "SynthesisSettings", "synthesize", None),
    "train": ("pad_ray.training", "TrainingSettings", "train", None),
    "evaluate": ("pad_ray.evaluation", "EvaluationSettings", "evaluate", None),
    "pipeline": ("pad_ray.pipeline", "PipelineSettings", "run_pipeline", None),
    "solve": ("pad_ray.asking", "AskSettings", "ask", "question"),
    "train_verifier": (
        "pad_ray.verifier_training",
        "VerifierSettings",
        "train_verifier",
        None,
    ),
    "tune_decoding": ("pad_ray.tuning", "TuningSettings", "tune", None),
    "compare_decoding": ("pad_ray.comparison", "ComparisonSettings", "compare", None),
}
VOTE = "--task coin_flip --student no_model --out out"
GREEDY = '--strategies {"plain":{"strategy":"greedy"}}'
OWN = "--task jsonl --teacher scripted --out out"
COINS = "--task coin_flip --teacher scripted --count 3"
PIPELINE = "out: out\nsynthesis:\n- {task: coin_flip, teacher: scripted%s}\nevaluation:%s\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with every kind of broken input."""
    monkeypatch.chdir(tmp_path)
    lines = [json.dumps({"question": f"Q{i}?", "answer": i}) for i in range(20)]
    files = {
        "good.jsonl": "\n".join(lines),
        "line17.jsonl": "\n".join([*lines[:16], lines[16][:-1], *lines[17:]]),
        "field.jsonl": "\n".join([lines[0], '{"question": "Q?"}', lines[2]]),
        "empty.jsonl": "",
        "syntax.py": "def (:\n",
        "broken.yaml": "task: [coin_flip\n",
        "list.yaml": "- task\n",
        "unknown.yaml": "task: coin_flip\nteachr: scripted\n",
        "range.yaml": "task: coin_flip\nteacher: scripted\nout: out\nsamples: 0\n",
        "no_student.yaml": "task: coin_flip\nstudent: []\nout: out\n",
        "pipe_field.yaml": PIPELINE % (", sampels: 2", " [{task: coin_flip}]"),
        "pipe_teacher.yaml": PIPELINE.replace("scripted", "wizard") % ("", " [{task: coin_flip}]"),
        "pipe_task.yaml": PIPELINE.replace("coin_flip", "nope") % ("", " [{task: coin_flip}]"),
        "pipe_none.yaml": PIPELINE % ("", " []"),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "latin.yaml").write_bytes(b"task: \xff\xfe\n")
    _directories(tmp_path)
    return tmp_path


def _directories(where: Path) -> None:
    for name in ("no_model", "not_ours", "verified_empty/verified", "not_json", "no_fields"):
        (where / name).mkdir(parents=True)
    (where / "not_ours" / "thesis.tex").write_text("")
    (where / "not_json" / MANIFEST).write_text("{")
    (where / "no_fields" / MANIFEST).write_text("{}")
    (where / "verified_empty" / MANIFEST).write_text('{"fingerprint": "00aa"}')
    empty = pa.Table.from_pylist([], schema=JUDGED_SCHEMA)
    pq.write_table(empty, where / "verified_empty" / "verified" / "part-0.parquet")
    for job in ("synthesize", "train"):
        (where / f"by_{job}").mkdir()
        record = f"job: {job}\nsettings: {{task: coin_flip, seed: 7}}\ninputs: {{}}\n"
        (where / f"by_{job}" / CONFIG).write_text(record)


CASES = [
    ("synthesize", f"{OWN} --problems gone.jsonl", "gone.jsonl: no such file"),
    ("synthesize", f"{OWN} --problems line17.jsonl", "line17.jsonl, line 17: malformed JSON"),
    ("synthesize", f"{OWN} --problems field.jsonl", "line 2: field 'answer' is missing"),
    ("synthesize", f"{OWN} --problems empty.jsonl", "empty.jsonl: holds no problems"),
    ("synthesize", f"{OWN} --problems good.jsonl", "scripted"),
    ("synthesize", OWN, "problems: task 'jsonl' needs a file"),
    ("synthesize", f"{COINS} --out out --problems good.jsonl", "problems: task 'coin_flip'"),
    ("synthesize", "--task nope --teacher scripted --out out", "unknown task 'nope'; known: "),
    ("synthesize", "--task syntax.py:TASK --teacher scripted --out out", "syntax.py"),
    ("synthesize", "--task coin_flip --teacher wizard --out out", "teacher: "),
    ("synthesize", "--task coin_flip --teacher endpoint --out out", "endpoint: "),
    ("synthesize", "--task coin_flip --teacher recorded --out out", "completions: "),
    (
        "synthesize",
        "--task coin_flip --teacher recorded --completions gone --out out",
        "gone: ",
    ),
    ("synthesize", "--task coin_flip --teacher rationale --out out", "rationale"),
    ("synthesize", f"{COINS} --out out --colour red", "--colour"),
    ("synthesize", f"{COINS} --out out stray", "stray"),
    ("synthesize", f"{COINS} --out out --samples 0", "samples: "),
    ("synthesize", f"{COINS} --out out --samples many", "samples: "),
    ("synthesize", f"{COINS} --out out --sandbox.wall_s -1", "sandbox.wall_s: "),
    ("synthesize", f"{COINS} --out out --sandbox.colour 1", "sandbox.colour"),
    ("synthesize", f"{COINS} --out out --split held_out", "split"),
    ("synthesize", f"{COINS} --out out --size 1", "size is 1"),
    ("synthesize", f'{COINS} --out out --faults {{"typo":0.1}}', "faults: unknown fault 'typo'"),
    ("synthesize", COINS, "out"),
    ("synthesize", "", "task, teacher, out"),
    ("synthesize", "--config gone.yaml", "gone.yaml"),
    ("synthesize", "--config broken.yaml", "config"),
    ("synthesize", "--config list.yaml", "config"),
    ("synthesize", "--config latin.yaml", "config"),
    ("synthesize", "--config unknown.yaml", "teachr"),
    ("synthesize", "--config range.yaml", "samples: "),
    ("synthesize", f"{COINS} --out not_ours", "not_ours is not empty"),
    ("synthesize", f"{COINS} --out good.jsonl", "out: cannot"),
    ("synthesize", f"{COINS} --out by_synthesize", "seed (7 there, 0 now)"),
    ("synthesize", f"{COINS} --out by_train", "made by job 'train'"),
    ("train", "--data gone --out out", "gone: no manifest.json"),
    ("train", "--data not_json --out out", "manifest.json: "),
    ("train", "--data no_fields --out out", "manifest.json: "),
    ("train", "--data verified_empty --out out", "no verified rows in"),
    ("train", "--out out", "data"),
    ("train", "--data verified_empty --out out --student scratch:huge", "student: unknown size"),
    ("train", "--data verified_empty --out out --format sql", "format: "),
    ("train", "--data verified_empty --out out --batch_size 7", "batch_size: 7"),
    ("train", "--data verified_empty --out out --learning_rate 0", "learning_rate: "),
    ("train", "--data verified_empty --out out --zero_stage 4", "zero_stage: "),
    ("train", "--data verified_empty --out by_synthesize", "made by job 'synthesize'"),
    ("evaluate", "--task coin_flip --student ./gone --out out", "no such file or folder"),
    ("evaluate", "--task coin_flip --student gone.gguf --out out", "gone.gguf: no such file"),
    ("evaluate", "--task coin_flip --student no_model --out out", "config.json is missing"),
    ("evaluate", "--config no_student.yaml", "student"),
    ("evaluate", "--task nope --student no_model --out out", "unknown task 'nope'"),
    ("evaluate", "--task coin_flip --student x --strategy magic --out out", "strategy:"),
    ("evaluate", "--task svamp --problems empty.jsonl --student x --out out", "no problems"),
    ("evaluate", f"{VOTE} --few_shot 1", "config.json is missing"),
    ("evaluate", f"{VOTE} --strategy vote --n 0", "n: "),
    ("evaluate", f"{VOTE} --weights.value -1", "weights.value: "),
    ("synthesize", "--task coin_flip --teacher student --out out", "student: "),
    (
        "synthesize",
        "--task coin_flip --teacher student --student.path no_model --out out",
        "student: cannot load",
    ),
    ("train_verifier", "--data gone --out out", "starts from a trained model"),
    ("train_verifier", "--data gone --student x --out out", "gone: no manifest.json"),
    (
        "train_verifier",
        "--data verified_empty --student x --validation_fraction 0 --out out",
        "validation_fraction: ",
    ),
    ("train_verifier", "--data verified_empty --student x --out out", "no rejected/"),
    ("tune_decoding", VOTE, "config.json is missing"),
    ("tune_decoding", f"{VOTE} --n 1", "n: "),
    ("compare_decoding", VOTE, "strategies"),
    ("compare_decoding", f"{VOTE} {GREEDY}", "config.json is missing"),
    (
        "compare_decoding",
        f'{VOTE} --strategies {{"a":{{"strategy":"magic"}}}}',
        "strategy: Input should be",
    ),
    ("compare_decoding", f'{VOTE} --strategies {{"a":{{"colour":1}}}}', "colour: "),
    ("solve", "Why? --student no_model", "student: cannot load"),
    ("solve", "Why? --student gone/model", "student: cannot load 'gone/model'"),
    ("solve", "Why? --student gone.gguf", "gone.gguf: no such file"),
    ("solve", "Why? --student scratch:tiny", "student: "),
    ("solve", "--student no_model", "question"),
    ("pipeline", "", "synthesis"),
    ("pipeline", "--config gone.yaml", "gone.yaml"),
    ("pipeline", "--config pipe_field.yaml", "sampels"),
    ("pipeline", "--config pipe_teacher.yaml", "teacher"),
    ("pipeline", "--config pipe_task.yaml", "unknown task 'nope'"),
    ("pipeline", "--config pipe_none.yaml", "evaluation: "),
]


def assert_one_line(job: str, said: str, stderr: str, code: object) -> None:
    assert code == 2, stderr
    assert stderr.startswith(f"{job}: error: "), stderr
    assert stderr.count("\n") == 1, stderr
    assert stderr.endswith("\n")
    assert said in stderr


@pytest.mark.parametrize(("job", "flags", "said"), CASES, ids=lambda part: str(part)[:60])
def test_mistake_is_one_line(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    job: str,
    flags: str,
    said: str,
) -> None:
    home, model, function, positional = ENTRIES[job]
    module = importlib.import_module(home)
    monkeypatch.setattr(sys, "argv", [f"{job}.py", *flags.split()])
    with pytest.raises(SystemExit) as exited:
        run_job(getattr(module, model), getattr(module, function), job, positional)
    assert_one_line(job, said, capsys.readouterr().err, exited.value.code)
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    ("job", "flags", "said"),
    [
        ("synthesize", f"{OWN} --problems line17.jsonl", "line 17: malformed JSON"),
        ("train", "--data gone --out out", "no manifest.json"),
        ("evaluate", "--task nope --student x --out out", "unknown task 'nope'"),
        ("evaluate", f"{VOTE} --few_shot 1", "config.json is missing"),
        ("evaluate", f"{VOTE} --strategy vote --n 0", "n: "),
        ("evaluate", f"{VOTE} --weights.value -1", "weights.value: "),
        ("synthesize", "--task coin_flip --teacher student --out out", "student: "),
        (
            "synthesize",
            "--task coin_flip --teacher student --student.path no_model --out out",
            "student: cannot load",
        ),
        ("train_verifier", "--data gone --out out", "starts from a trained model"),
        ("train_verifier", "--data gone --student x --out out", "gone: no manifest.json"),
        (
            "train_verifier",
            "--data verified_empty --student x --validation_fraction 0 --out out",
            "validation_fraction: ",
        ),
        ("train_verifier", "--data verified_empty --student x --out out", "no rejected/"),
        ("tune_decoding", VOTE, "config.json is missing"),
        ("tune_decoding", f"{VOTE} --n 1", "n: "),
        ("compare_decoding", VOTE, "strategies"),
        ("compare_decoding", f"{VOTE} {GREEDY}", "config.json is missing"),
        (
            "compare_decoding",
            f'{VOTE} --strategies {{"a":{{"strategy":"magic"}}}}',
            "strategy: Input should be",
        ),
        ("compare_decoding", f'{VOTE} --strategies {{"a":{{"colour":1}}}}', "colour: "),
        ("solve", "Why? --student no_model", "student: cannot load"),
        ("pipeline", "--config pipe_field.yaml", "sampels"),
    ],
)
def test_mistake_is_one_line_of_a_process(here: Path, job: str, flags: str, said: str) -> None:
    ran = subprocess.run(
        [sys.executable, str(JOBS / f"{job}.py"), *flags.split()], capture_output=True, text=True
    )
    assert_one_line(job, said, ran.stderr, ran.returncode)
    assert not (here / "out").exists()


def test_student_that_only_a_worker_could_miss_is_one_line(here: Path) -> None:
    flags = ["--task", "coin_flip", "--count", "2", "--student", "gone/model", "--out", "out"]
    ran = subprocess.run(
        [sys.executable, str(JOBS / "evaluate.py"), *flags], capture_output=True, text=True
    )
    assert_one_line("evaluate", "cannot load 'gone/model'", ran.stderr, ran.returncode)


@pytest.mark.parametrize("job", ENTRIES)
def test_job_file_is_the_entry_point_tested_here(job: str) -> None:
    source = (JOBS / f"{job}.py").read_text()
    home, model, function, positional = ENTRIES[job]
    assert f"from {home} import {model}, {function}" in source
    called = f'run_job({model}, {function}, "{job}"'
    assert called + (f', positional="{positional}")' if positional else ")") in source


def test_every_job_is_tested() -> None:
    assert {path.stem for path in JOBS.glob("*.py")} == set(ENTRIES)
