"""Settings of data synthesis, and the teacher that they name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from pad_ray.base.fields import Input, Runtime
from pad_ray.base.storage import locate, locate_all
from pad_ray.flow.failures import FailureLimitSettings, RetrySettings
from pad_ray.flow.inputs import stage_input
from pad_ray.flow.ledger import Budget
from pad_ray.flow.stages import file_fingerprint
from pad_ray.flow.waiting import WaitSettings
from pad_ray.synthesis.contamination import evaluation_file
from pad_ray.synthesis.judge_settings import JudgingSettings
from pad_ray.tasks import get_task
from pad_ray.tasks.inputs import task_input
from pad_ray.tasks.settings import ProblemSettings
from pad_ray.teachers.base import Schedule
from pad_ray.teachers.endpoint.settings import EndpointSettings
from pad_ray.teachers.prompts import Format
from pad_ray.teachers.recorded.files import recorded_files
from pad_ray.teachers.scripted.engine import DEFAULT_FAULTS
from pad_ray.teachers.student_settings import StudentTeacherSettings
from pad_ray.teachers.vllm_settings import VLLMSettings

Pool = PositiveInt | tuple[PositiveInt, PositiveInt]


def recorded_input(name: str, paths: list[Path] | Path) -> dict[str, str]:
    """Return the fingerprints of files of recorded completions, numbered."""
    files = recorded_files(locate_all(paths))
    return {f"{name}_{i}": file_fingerprint(file) for i, file in enumerate(files)}


# What an interruption costs at most, per task: little where a local model computes, whose answers
# are in no journal; elsewhere so much that Ray's own work a block, and the wait for a block's last
# answer, do not show.
_COMPUTED_BLOCK = 256
_LARGEST_BLOCK = 4096
_FIRST_BLOCK = 256


class SynthesisRun(ProblemSettings, JudgingSettings, RetrySettings, WaitSettings):
    """Which teacher writes programs for which problems."""

    teacher: Literal["scripted", "rationale", "endpoint", "recorded", "student", "vllm"]
    """Engine that writes the programs; `scripted` is simulated."""
    format: Format = "program"
    """What the teacher writes: programs, which are run, or chains of thought, whose stated answer
    is compared."""
    calculator_marks: Literal["strip", "keep"] = "strip"
    """Rationale teacher: whether chains of thought keep GSM8K's <<48/2=24>>."""
    samples: int = Field(1, ge=1)
    """Programs asked for a problem; with `want`, in each round."""
    want: int | None = Field(None, ge=1)
    """Go on asking, round by round, for problems with fewer different right programs than this."""
    max_samples: int | None = Field(None, ge=1)
    """Programs asked for a problem over all rounds."""
    temperatures: tuple[float, ...] = ()
    """Sampling temperature of each round, the last for all further ones; none: the teacher's."""
    endpoint: EndpointSettings | None = None
    """Settings of the endpoint teacher."""
    student: StudentTeacherSettings | None = None
    """Settings of the student teacher, which samples from a trained student."""
    vllm: VLLMSettings | None = None
    """Settings of the teacher vllm, which runs a model on the cluster's own GPUs."""
    completions: Annotated[list[Path] | Path | None, Input(recorded_input)] = None
    """File, folder, or a list of them that the recorded teacher replays."""
    faults: dict[str, float] = Field(default_factory=lambda: dict(DEFAULT_FAULTS))
    """Scripted teacher: rate of each injected fault."""
    vary: float = Field(0.3, ge=0, le=1)
    """Scripted teacher: share of samples whose program differs from the gold one."""
    decontaminate: tuple[str, ...] = ()
    """Evaluation files, FILE or TASK=FILE, whose questions are left out."""
    decontamination_ngram: int = Field(13, ge=2)
    """Equal words in a row that make a question one of an evaluation file."""
    budget: Annotated[Budget, Runtime] = Budget()
    """Where to stop asking."""
    teacher_actors: Annotated[Pool, Runtime] = 1
    """Actors that ask the teacher: a number, or [least, most]."""
    sandbox_actors: Annotated[Pool, Runtime] = 1
    """Actors that run programs: a number, or [least, most]."""
    rows_per_block: Annotated[int | None, Runtime] = Field(None, ge=1)
    """Rows an interruption costs at most, per running task (default: by the teacher)."""

    @model_validator(mode="after")
    def _teacher_has_its_settings(self) -> Self:
        if self.teacher == "endpoint" and self.endpoint is None:
            raise ValueError("endpoint: teacher 'endpoint' needs --endpoint.base_url and .model")
        if self.teacher == "student" and self.student is None:
            raise ValueError("student: teacher 'student' needs --student.path")
        if self.teacher == "vllm" and self.vllm is None:
            raise ValueError("vllm: teacher 'vllm' needs --vllm.model")
        if self.teacher == "vllm" and self.budget.is_set:
            raise ValueError("budget: vLLM runs on your own GPUs; use count and max_samples")
        if self.teacher == "recorded" and self.completions is None:
            raise ValueError("completions: teacher 'recorded' needs a file")
        if self.samples > 1 and self.teacher == "rationale":
            raise ValueError("samples: teacher 'rationale' writes one program a problem")
        if self.want is not None and self.teacher == "rationale":
            raise ValueError("want: teacher 'rationale' writes one program a problem")
        if (self.want is None) != (self.max_samples is None):
            raise ValueError("want and max_samples: give both, or neither")
        for name in ("teacher_actors", "sandbox_actors"):
            pool = getattr(self, name)
            if isinstance(pool, tuple) and pool[0] > pool[1]:
                raise ValueError(f"{name}: [least, most] is given as {list(pool)}")
        return self

    @property
    def may_answer_otherwise(self) -> bool:
        """Whether asking again for a row that failed may give an answer."""
        return self.teacher in ("endpoint", "vllm", "student")

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.temperatures)

    @property
    def block_rows(self) -> tuple[int, int]:
        """Rows of the first block and of the largest."""
        most = self.rows_per_block or (
            _COMPUTED_BLOCK if self.teacher in ("student", "vllm") else _LARGEST_BLOCK
        )
        return min(_FIRST_BLOCK, most), most

    def samples_after(self, asked: int) -> range:
        """Return the indices of a problem's samples in the round after so many; none at the last.

        A round that was cut short by `max_samples` is the next one's beginning.
        """
        last = self.max_samples or self.samples
        return range(asked, min((asked // self.samples + 1) * self.samples, last))

    def inputs(self) -> dict[str, str]:
        inputs = super().inputs()
        if self.decontaminate:
            task = get_task(self.task)
            for text in self.decontaminate:
                path = locate(Path(evaluation_file(text, task)[1]))
                inputs[f"decontaminate/{path.name}"] = file_fingerprint(path)
        return inputs


class SynthesisSettings(SynthesisRun):
    """Make a verified dataset: a teacher writes programs, the sandbox runs them."""

    out: Annotated[Path, Runtime]
    """Directory for verified/, rejected/ and manifest.json."""


class JudgeSettings(JudgingSettings, FailureLimitSettings, WaitSettings):
    """Run and judge a dataset's completions again, under another rule."""

    data: Annotated[Path, Input(stage_input)]
    """Synthesis directory; stays as it is."""
    out: Annotated[Path, Runtime]
    """Directory for verified/, rejected/ and manifest.json."""
    task: Annotated[str | None, Input(task_input, is_saved=True)] = None
    """Task whose rule says which answers are right (default: the dataset's own)."""
    sandbox_actors: Annotated[Pool, Runtime] = 1
    """Actors that run programs: a number, or [least, most]."""
    rows_per_block: Annotated[int, Runtime] = Field(4096, ge=1)
    """Rows an interruption costs at most, per running task."""
