"""Bad input to a job: one line on stderr, exit status 2, no traceback, nothing written."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pad_ray.base.config import Job
from pad_ray.base.schemas import JUDGED_SCHEMA
from pad_ray.flow.stages import CONFIG, MANIFEST

JOBS = Path(__file__).parents[2] / "jobs"

LEARN = "--data verified_empty --out out"
VOTE = "--task coin_flip --student no_model --out out"
GREEDY = '--strategies {"plain":{"strategy":"greedy"}}'
OWN = "--task jsonl --teacher scripted --out out"
COINS = "--task coin_flip --teacher scripted --count 3"
BATCH = "--endpoint.model m"
PIPELINE = "out: out\nsynthesis:\n- {task: coin_flip, teacher: scripted%s}\nevaluation:%s\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with every kind of broken input."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
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
        "coins.yaml": "task: coin_flip\nteacher: scripted\ncount: 3\n",
        "paid.yaml": "{task: coin_flip, teacher: endpoint, "
        "endpoint: {base_url: http://h/v1, model: m}}",
        "train_gone.yaml": "data: gone\n",
        "gpuless.yaml": "nodes: [{cpus: 4, memory_gb: 9, gpus: 1}]\n",
        "refine.yaml": "data: gone\nsampling: [{task: coin_flip}]\nevaluation: [{task: coin_flip}]",
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
    row = {"row_id": "p-0", "problem_id": "p", "question": "Q?", "chain_of_thought": "So."}
    for part in ("verified", "rejected"):
        (where / "texts" / part).mkdir(parents=True)
        table = pa.Table.from_pylist([row], schema=JUDGED_SCHEMA)
        pq.write_table(table, where / "texts" / part / "part-0.parquet")
    manifest = {"fingerprint": "00aa", "job": "synthesize", "config": {"format": "cot"}}
    (where / "texts" / MANIFEST).write_text(json.dumps(manifest))
    (where / "programs" / "verified").mkdir(parents=True)
    judged = '{"fingerprint": "00bb", "job": "judge", "config": {}}'
    (where / "programs" / MANIFEST).write_text(judged)
    (where / "repairs").mkdir()
    (where / "repairs" / MANIFEST).write_text('{"fingerprint": "00aa", "job": "inject"}')
    (where / "augmented").mkdir()
    (where / "augmented" / MANIFEST).write_text('{"fingerprint": "00aa", "job": "augment"}')
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
    ("synthesize", f"{COINS} --out out --sandbox.cpu_s 1e-6", "sandbox: cpu_s must be a number"),
    ("synthesize", f"{COINS} --out out --sandbox.modules [nope]", "no package 'nope' is installed"),
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
    ("synthesize", f"{COINS} --format sql --out out", "format: "),
    ("train", "--data gone --out out", "gone: no manifest.json"),
    ("train", "--data verified_empty --out out --max_rows 0", "max_rows: "),
    ("train", "--data verified_empty --out out --same_problems gone", "gone: no manifest.json"),
    ("inject", "--data texts --out out", "texts holds texts; this job needs a dataset of programs"),
    ("train_verifier", "--data texts --student x --out out", "data: no programs in"),
    ("export", "--data [texts,programs] --out out", "data: both programs and chains of thought"),
    ("train", "--data texts --out out", "have no program; --format program needs a teacher"),
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
    ("train", "--data verified_empty --out out --format repair", "needs a directory of inject"),
    ("train", "--data repairs --out out --format repair", "data: repairs alone"),
    ("train", "--data repairs --out out", "holds repairs; train on it with --format repair"),
    ("train", "--data repairs --out out --repair_share 1", "repair_share: "),
    ("train", "--data repairs --out out --max_steps 1 --max_tokens 9", "max_tokens: "),
    ("inject", "--data gone --out out", "gone: no manifest.json"),
    ("inject", "--data verified_empty --out out", "data: no verified rows"),
    ("inject", '--data gone --out out --weights {"typo":1}', "unknown injection 'typo'"),
    ("inject", "--data gone --out out --count 0", "count: "),
    ("inject", "--data gone --out out --combine 2", "combine: "),
    ("augment", "--data gone --out out", "gone: no manifest.json"),
    ("augment", "--data verified_empty --out out", "data: no verified rows"),
    (
        "augment",
        "--data texts --out out",
        "texts holds texts; this job needs a dataset of programs",
    ),
    ("augment", "--data repairs --out out", "repairs is not a synthesis directory"),
    ("augment", "--data augmented --out out", "augmented was made by job 'augment'; give the"),
    ("augment", "--data verified_empty --out by_train", "made by job 'train'"),
    ("augment", "--data gone --out out --copies 0", "copies: "),
    ("augment", '--data gone --out out --weights {"typo":1}', "weights: unknown kind 'typo'"),
    ("augment", '--data gone --out out --weights {"paraphrase":1}', "paraphrase needs --paraphras"),
    ("train_verifier", "--data augmented --student x --out out", "made by job 'augment'; a ver"),
    ("collect_failures", "--samples augmented --out out", "made by job 'augment'; give a student"),
    ("collect_failures", "--samples gone --out out", "gone: no manifest.json"),
    ("collect_failures", "--samples repairs --out out", "no rejected/ in it"),
    ("collect_failures", "--samples repairs --out out --per_problem 0", "per_problem: "),
    ("refine", "--data gone --out out", "sampling"),
    ("refine", "--config refine.yaml --out out", "gone: no manifest.json"),
    ("refine", "--config refine.yaml --out out --rounds -1", "rounds: "),
    ("judge", "--data gone --out out", "gone: no manifest.json"),
    ("judge", "--data repairs --out out", "was made by job 'inject', not by synthesize"),
    ("judge", "--data verified_empty --out out --accept nearly", "accept: "),
    ("synthesize", f"{COINS} --out out --want 2", "want and max_samples: give both, or neither"),
    ("synthesize", f"{COINS} --out out --teacher_actors [3,1]", "teacher_actors: [least, most]"),
    ("synthesize", f"{OWN} --problems good.jsonl --decontaminate [gone.jsonl]", "gone.jsonl: "),
    ("synthesize", f"{COINS} --out out --decontaminate [good.jsonl]", "give TASK=FILE with the"),
    ("synthesize", f"{COINS} --out out --budget.max_tokens 0", "budget.max_tokens: "),
    ("export", "--data gone --out out", "gone: no manifest.json"),
    ("export", "--data repairs --out out", "repairs is not a synthesis directory (job 'inject')"),
    ("export", "--data verified_empty --out out", "no verified rows to export in"),
    ("export", "--data verified_empty --out out --format sql", "format: "),
    ("export", "--data verified_empty --out out --file_type csv", "file_type: "),
    ("export", "--data verified_empty --out out --per_problem 0", "per_problem: "),
    ("export", "--data verified_empty --out out --split_fraction 1", "split_fraction: "),
    ("export", "--data verified_empty --out out --pass_rate_min 2", "pass_rate_min: "),
    (
        "export",
        "--data verified_empty --out out --pass_rate_min 0.9 --pass_rate_max 0.1",
        "pass_rate_min: 0.9 is above pass_rate_max 0.1",
    ),
    ("export", "--data verified_empty --out by_train", "made by job 'train'"),
    ("export", "--data verified_empty --out out --push_to_hub a/b", "HF_TOKEN is not set"),
    ("solve", "Why? --student no_model", "student: cannot load"),
    ("solve", "Why? --student gone/model", "student: cannot load 'gone/model'"),
    ("solve", "Why? --student gone.gguf", "gone.gguf: no such file"),
    ("solve", "Why? --student scratch:tiny", "student: "),
    ("solve", "Why? --student /gone", "student: cannot load '/gone': no such file or folder"),
    ("solve", "--student no_model", "question"),
    ("solve", "Why not? --student no_model", "not?; a question of several words needs quotes"),
    ("synthesize", "--task coin_flip --out out --teacher no", "teacher: 'no' is not one of script"),
    ("analyze", VOTE, "config.json is missing"),
    ("analyze", f"{VOTE} --samples 1", "samples: "),
    ("analyze", "--config no_student.yaml", "student"),
    ("analyze", "--task nope --student x --out out", "unknown task 'nope'"),
    ("batch", "--task coin_flip --out out", "endpoint"),
    ("batch", f"{BATCH} --task nope --out out", "unknown task 'nope'"),
    ("batch", f"{BATCH} --task coin_flip --out out --requests_per_file 0", "requests_per_file: "),
    ("batch", f"{BATCH} --task coin_flip --out out --megabytes_per_file 1e-9", "megabytes_per_"),
    ("batch", f"{BATCH} --task coin_flip --out out --endpoint.n_per_request 2", "n_per_request"),
    ("batch", f"{BATCH} --task coin_flip --count 3 --out by_train", "made by job 'train'"),
    ("pipeline", "", "synthesis"),
    ("pipeline", "--config gone.yaml", "gone.yaml"),
    ("pipeline", "--config pipe_field.yaml", "sampels"),
    ("pipeline", "--config pipe_teacher.yaml", "teacher"),
    ("pipeline", "--config pipe_task.yaml", "unknown task 'nope'"),
    ("pipeline", "--config pipe_none.yaml", "evaluation: "),
    ("experiment", "--config pipe_none.yaml", "evaluation: "),
    (
        "synthesize",
        "--task dates --count 3 --teacher scripted --format cot --out out",
        "no words for the programs of task 'dates'",
    ),
    ("submit", "nope --out out", "job: unknown job 'nope'"),
    ("submit", "follow", "submission_id: "),
    ("submit", f"synthesize {COINS} --out out", "out: out would be lost with the job"),
    ("submit", f"synthesize {COINS} --count many --out out", "count"),
    ("submit", f"synthesize {OWN} --problems gone.jsonl --out /out", "problems: gone.jsonl is not"),
    ("submit", f"synthesize {COINS} --out /out --env [PAD_RAY_UNSET]", "env: PAD_RAY_UNSET"),
    ("submit", f"synthesize {COINS} --out /out --runtime_env list.yaml", "runtime_env: list.yaml"),
    ("submit", f"synthesize {COINS} --out /out --runtime_env gone.yaml", "No such file"),
    ("submit", f"synthesize {COINS} --out /out --address cluster:8265", "address: cluster:8265"),
    ("submit", f"synthesize {COINS} --out /out --address http://127.0.0.1:9", "no Ray dashboard"),
    ("plan", "--out out", "job"),
    ("plan", "--job gone.yaml --out out", "gone.yaml: cannot be read"),
    ("plan", "--job broken.yaml --out out", "broken.yaml: is not YAML"),
    ("plan", "--job latin.yaml --out out", "latin.yaml: is not YAML"),
    ("plan", "--job list.yaml --out out", "expected settings"),
    ("plan", "--job no_student.yaml --out out", "of no job that can be planned"),
    ("plan", "--job pipe_field.yaml --out out", "sampels"),
    ("plan", "--job pipe_task.yaml --out out", "unknown task 'nope'"),
    ("plan", "--job train_gone.yaml --out out", "gone"),
    ("plan", "--job coins.yaml --out out --count 0", "count: "),
    ("plan", "--job coins.yaml --out out --calibration_steps 1", "calibration_steps: "),
    ("plan", "--job coins.yaml --out out --cluster.utilisation 2", "cluster.utilisation: "),
    ("plan", "--job coins.yaml --out out --cluster gpuless.yaml", "give the kind of GPU"),
    ("plan", "--job paid.yaml --out out", "calibration_problems: teacher 'endpoint' may cost"),
    ("evaluate", "--task nope --student x --out out", "unknown task 'nope'"),
    ("ensemble", "--predictions '[a]' --out out", "predictions: "),
    ("ensemble", "--predictions [gone,lost] --out out", "no manifest.json"),
    ("train", f"{LEARN} --distill.teacher scratch:tiny", "distill.teacher: "),
    ("train", f"{LEARN} --label_smoothing 1", "label_smoothing: "),
    ("train", f"{LEARN} --general.texts gone.txt", "gone.txt: cannot be read"),
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
    entry: Job[Any] = runpy.run_path(str(JOBS / f"{job}.py"))["JOB"]
    monkeypatch.setattr(sys, "argv", [f"{job}.py", *flags.split()])
    with pytest.raises(SystemExit) as exited:
        entry.main()
    assert_one_line(job, said, capsys.readouterr().err, exited.value.code)
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    ("job", "flags", "said"),
    [
        ("synthesize", f"{OWN} --problems line17.jsonl", "line 17: malformed JSON"),
        ("train", "--data gone --out out", "no manifest.json"),
        ("solve", "Why? --student no_model", "student: cannot load"),
    ],
)
def test_mistake_is_one_line_of_a_process(here: Path, job: str, flags: str, said: str) -> None:
    ran = subprocess.run(
        [sys.executable, str(JOBS / f"{job}.py"), *flags.split()], capture_output=True, text=True
    )
    assert_one_line(job, said, ran.stderr, ran.returncode)
    assert not (here / "out").exists()


@pytest.mark.slow
def test_student_that_only_a_worker_could_miss_is_one_line(
    here: Path, local_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    entry: Job[Any] = runpy.run_path(str(JOBS / "evaluate.py"))["JOB"]
    flags = ["--task", "coin_flip", "--count", "2", "--student", "gone/model", "--out", "out"]
    with pytest.raises(SystemExit) as exited:
        entry.main(flags)
    said = "cannot load 'gone/model'"
    assert_one_line("evaluate", said, capsys.readouterr().err, exited.value.code)


def test_every_job_is_tested() -> None:
    assert {path.stem for path in JOBS.glob("*.py")} == {job for job, _, _ in CASES}


@pytest.mark.parametrize("path", sorted(JOBS.glob("*.py")), ids=lambda path: path.stem)
def test_a_job_bears_its_file_s_name(path: Path) -> None:
    entry = runpy.run_path(str(path))["JOB"]
    assert (entry.name, entry.model.__doc__ is not None) == (path.stem, True)
    assert path.read_text().endswith('if __name__ == "__main__":\n    JOB.main()\n')


@pytest.mark.parametrize("path", sorted(JOBS.glob("*.py")), ids=lambda path: path.stem)
def test_a_job_s_call_is_there(path: Path) -> None:
    entry = runpy.run_path(str(path))["JOB"]
    assert callable(resolve_name(entry.run))


def test_settings_wait_for_nothing_heavy() -> None:
    """One process asks every job for its help and makes a mistake in its settings."""
    ask = (
        "import contextlib, io, runpy, sys\n"
        "from pad_ray.base.errors import ConfigError\n"
        "for path in sys.argv[1:]:\n"
        "    job = runpy.run_path(path)['JOB']\n"
        "    for flags, end in ((['--help'], SystemExit), (['--nothing', '1'], ConfigError)):\n"
        "        with contextlib.suppress(end), contextlib.redirect_stdout(io.StringIO()):\n"
        "            job.parse(flags)\n"
        "            raise AssertionError(path)\n"
        "    heavy = set(sys.modules) & set(\n"
        "        'torch ray transformers deepspeed datasets openai pandas'.split()\n"
        "    )\n"
        "    assert not heavy, (path, heavy)\n"
        "print('all')\n"
    )
    paths = sorted(map(str, JOBS.glob("*.py")))
    ran = subprocess.run([sys.executable, "-c", ask, *paths], capture_output=True, text=True)
    assert ran.stdout == "all\n", ran.stderr


def test_output_that_ray_would_delete_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ray job submit --working-dir` runs a job where Ray has unpacked that directory."""
    unpacked = tmp_path / "runtime_resources" / "working_dir_files" / "_ray_pkg_1"
    unpacked.mkdir(parents=True)
    monkeypatch.chdir(unpacked)
    entry: Job[Any] = runpy.run_path(str(JOBS / "synthesize.py"))["JOB"]
    for out in ("data", str(unpacked / "data")):
        with pytest.raises(SystemExit) as exited:
            entry.main([*COINS.split(), "--out", out])
        said = f"out: {out} would be deleted with the job's folder"
        assert_one_line("synthesize", said, capsys.readouterr().err, exited.value.code)
        assert not (unpacked / "data").exists()
