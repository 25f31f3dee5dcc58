"""Settings: YAML and flags over it, faults named together, exit status by whose mistake it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pad_ray.base.config import Job, Settings, parse_settings, root_cause, validate
from pad_ray.base.errors import ConfigError, DataError, PadError, TeacherError
from pad_ray.base.sandbox_settings import SandboxSettings
from pad_ray.decoding.one_question_settings import AskSettings
from pad_ray.evaluation.settings import EvaluationSettings
from pad_ray.pipeline.settings import PipelineSettings
from pad_ray.synthesis.settings import SynthesisSettings
from pad_ray.training.settings import TrainingSettings

JOB_SETTINGS: list[type[Settings]] = [
    SynthesisSettings,
    TrainingSettings,
    EvaluationSettings,
    PipelineSettings,
    AskSettings,
]
MINIMAL = ["--task", "coin_flip", "--teacher", "scripted", "--out", "somewhere"]


def parse(*flags: str) -> SynthesisSettings:
    return parse_settings(SynthesisSettings, flags, "synthesize")


def write_yaml(path: Path, **values: Any) -> str:
    path.write_text(yaml.safe_dump(values))
    return str(path)


def test_flags_override_the_yaml_and_leave_the_rest(tmp_path: Path) -> None:
    file = write_yaml(
        tmp_path / "job.yaml",
        task="coin_flip",
        teacher="scripted",
        out="from_yaml",
        samples=3,
        sandbox={"wall_s": 7.0, "memory_mb": 128},
    )
    parsed = parse("--config", file, "--samples", "5", "--sandbox.wall_s", "1.5")
    assert parsed.samples == 5
    assert parsed.out == Path("from_yaml")
    assert parsed.sandbox == SandboxSettings(wall_s=1.5, memory_mb=128)


def test_a_flag_given_again_adds_to_a_list_of_names(tmp_path: Path) -> None:
    file = write_yaml(tmp_path / "job.yaml", task="coin_flip", out="o", student="from_yaml")

    def students(*flags: str) -> list[str]:
        return parse_settings(EvaluationSettings, ["--config", file, *flags], "evaluate").students

    assert students() == ["from_yaml"]
    assert students("--student", "a") == students("--student=a") == ["a"]
    assert students("--student", "a", "--count", "3", "--student=b, c: d") == ["a", "b, c: d"]
    assert students("--student", "[a, b]") == ["a", "b"]
    assert students("--student", "[a, b]", "--student", "7") == ["a", "b", "7"]
    with pytest.raises(ConfigError, match="student"):
        students("--student")
    data = ["--out", "o", "--data", "one", "--data", "two"]
    assert parse_settings(TrainingSettings, data, "train").data == [Path("one"), Path("two")]


@settings(max_examples=15, deadline=None)
@given(
    samples=st.integers(1, 50),
    count=st.none() | st.integers(1, 10**6),
    vary=st.floats(0, 1),
    seed=st.integers(-(2**31), 2**31),
    wall_s=st.floats(0.05, 100),
)
def test_resolved_settings_read_back_as_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    samples: int,
    count: int | None,
    vary: float,
    seed: int,
    wall_s: float,
) -> None:
    first = SynthesisSettings(
        task="arithmetic",
        teacher="scripted",
        out=Path("x"),
        samples=samples,
        count=count,
        vary=vary,
        seed=seed,
        sandbox=SandboxSettings(wall_s=wall_s),
    )
    file = tmp_path_factory.mktemp("resolved") / "job.yaml"
    write_yaml(file, **first.model_dump(mode="json"))
    assert parse("--config", str(file)) == first


def test_settings_cannot_be_changed() -> None:
    parsed = parse(*MINIMAL)
    with pytest.raises(ValidationError):
        parsed.samples = 2  # type: ignore[misc]


def test_every_field_at_fault_is_named_in_one_line() -> None:
    values = {"task": "coin_flip", "teacher": "wizard", "samples": 0, "colour": "red", "out": "x"}
    with pytest.raises(ConfigError) as caught:
        validate(SynthesisSettings, values)
    message = str(caught.value)
    assert "\n" not in message
    for field in ("teacher:", "samples:", "colour:"):
        assert field in message


def test_nested_fault_is_named_with_its_path() -> None:
    with pytest.raises(ConfigError, match=r"^sandbox\.wall_s: "):
        validate(
            SynthesisSettings,
            {"task": "t", "teacher": "scripted", "out": "x", "sandbox": {"wall_s": -1}},
        )


def test_runtime_fields_do_not_decide_rows() -> None:
    one = parse(*MINIMAL)
    other = one.model_copy(update={"out": Path("elsewhere"), "sandbox_actors": 9})
    assert one.row_settings() == other.row_settings()
    assert one.row_settings() != one.model_copy(update={"seed": 1}).row_settings()


def _models(model: type[Settings]) -> set[type[Settings]]:
    found = {model}
    for field in model.model_fields.values():
        arguments = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for kind in arguments:
            if isinstance(kind, type) and issubclass(kind, Settings):
                found |= _models(kind)
    return found


@pytest.mark.parametrize("model", JOB_SETTINGS)
def test_every_field_and_job_is_described(model: type[Settings]) -> None:
    for kind in _models(model):
        undescribed = [name for name, f in kind.model_fields.items() if not f.description]
        assert not undescribed, f"{kind.__name__}: {undescribed}"
        assert kind.__doc__


def test_a_runtime_field_of_a_field_does_not_decide_rows() -> None:
    def run(**endpoint: Any) -> dict[str, Any]:
        values = {"base_url": "http://127.0.0.1:1/v1", "model": "m", **endpoint}
        given = {"task": "arithmetic", "teacher": "endpoint", "endpoint": values, "out": "o"}
        return SynthesisSettings.model_validate(given).row_settings()

    assert run(timeout_s=3, concurrency=99) == run()
    assert run(temperature=0.1) != run()


@pytest.mark.parametrize("model", JOB_SETTINGS)
def test_help_shows_every_field(model: type[Settings], capsys: pytest.CaptureFixture[str]) -> None:
    positional = "question" if model is AskSettings else None
    with pytest.raises(SystemExit) as exited:
        parse_settings(model, ["--help"], "job", positional)
    assert exited.value.code == 0
    shown = capsys.readouterr().out
    for name in model.model_fields:
        assert name in shown
    # Bounds are told where they are broken, and marks are nobody's business.
    assert "(type: int" in shown and "Annotated" not in shown


class Wrapped(Exception):
    """As Ray wraps errors: the original is in an attribute, not in the chain."""

    def __init__(self, cause: object = None, failures: dict[int, Exception] | None = None) -> None:
        super().__init__("wrapped")
        self.cause = cause
        self.worker_failures = failures or {}


def test_root_cause_is_found_wherever_ray_puts_it() -> None:
    mistake = DataError("row 3")
    chained = RuntimeError("outer")
    chained.__cause__ = Wrapped(cause=mistake)
    assert root_cause(mistake) is mistake
    assert root_cause(chained) is mistake
    assert root_cause(Wrapped(failures={0: Wrapped(), 1: Wrapped(cause=mistake)})) is mistake


def test_root_cause_of_a_bug_is_none_even_in_a_cycle() -> None:
    first, second = Wrapped(), Wrapped()
    first.cause, second.cause = second, first
    assert root_cause(first) is None
    assert root_cause(KeyError("fingerprint")) is None


def failing_stage(error: PadError, at_start: bool) -> type:
    """Return a Ray Data stage; made here, so that workers get its code and need no test file."""

    class Stage:
        def __init__(self) -> None:
            if at_start:
                raise error

        def __call__(self, batch: Any) -> Any:
            try:
                raise KeyError("choices")
            except KeyError as cause:
                raise error from cause

    return Stage


@pytest.mark.parametrize("at_start", [pytest.param(True, marks=pytest.mark.slow), False])
@pytest.mark.parametrize(
    "mistake",
    [
        DataError("weights: no such file (3 GB wanted): name another"),
        TeacherError("endpoint: refuses the key"),
    ],
)
def test_root_cause_is_found_in_a_stage_of_ray_data(
    local_ray: None, mistake: PadError, at_start: bool
) -> None:
    import ray.data

    rows = ray.data.range(2)
    with pytest.raises(ray.exceptions.RayError) as caught:
        rows.map_batches(failing_stage(mistake, at_start), concurrency=1).materialize()
    cause = root_cause(caught.value)
    assert type(cause) is type(mistake)
    assert str(cause) == str(mistake)


def _run(monkeypatch: pytest.MonkeyPatch, error: BaseException | None) -> None:
    def job(_: SynthesisSettings) -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(sys, "argv", ["synthesize.py", *MINIMAL])
    Job("synthesize", SynthesisSettings, job).main()


def test_users_mistake_is_one_line_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        _run(monkeypatch, PadError("file.jsonl, line 3: broken"))
    assert exited.value.code == 2
    assert capsys.readouterr().err == "synthesize: error: file.jsonl, line 3: broken\n"


def test_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        _run(monkeypatch, ZeroDivisionError())


def test_interrupt_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit) as exited:
        _run(monkeypatch, KeyboardInterrupt())
    assert exited.value.code == 130


def test_success_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    _run(monkeypatch, None)


@pytest.mark.parametrize("by_file", [False, True])
def test_further_endpoints_are_read_from_flags_and_files(tmp_path: Path, by_file: bool) -> None:
    others = [{"base_url": "http://127.0.0.1:2/v1", "model": "n", "weight": 2}]
    endpoint = {"base_url": "http://127.0.0.1:1/v1", "model": "m", "others": others}
    plain = ["--task", "arithmetic", "--teacher", "endpoint", "--out", "out"]
    flags = ["--endpoint.base_url", "http://127.0.0.1:1/v1", "--endpoint.model", "m"]
    flags += ["--endpoint.others", json.dumps(others)]
    if by_file:
        (tmp_path / "e.yaml").write_text(yaml.safe_dump({"endpoint": endpoint}))
        flags = ["--config", str(tmp_path / "e.yaml")]
    found = parse_settings(SynthesisSettings, [*flags, *plain], "synthesize").endpoint
    assert found is not None
    assert [(one.model, one.weight) for one in found.others] == [("n", 2.0)]
