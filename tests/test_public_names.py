"""The names that users import, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import pad_ray
import pad_ray.sandbox
import pad_ray.tasks


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(shown.stdout.split())


def test_public_names() -> None:
    assert pad_ray.__all__ == ["PadError", "Solution", "Solver", "__version__"]
    assert dir(pad_ray) == sorted(pad_ray.__all__)


def test_every_public_name_is_there() -> None:
    for name in pad_ray.__all__:
        assert getattr(pad_ray, name) is not None
    assert issubclass(pad_ray.PadError, Exception)
    assert callable(pad_ray.Solver.from_pretrained)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'pad_ray' has no attribute 'Sovler'"):
        pad_ray.Sovler  # noqa: B018


# A change of these is a decision, as one of a job's flags is.
SANDBOX = (
    "ALLOWED_MODULES Check Limits Outcome OutcomeCache Sandbox SandboxError Status Value diagnose"
)
TASKS = """
GENERATED_TASKS TASKS Exemplar Problem ProblemCounts Row RowLoader Size Split Task
answers_equal_rounded equal get_task iter_problems latex_equal load_problems numbers_equal
read_rows texts_equal
"""


@pytest.mark.parametrize(("room", "names"), [(pad_ray.sandbox, SANDBOX), (pad_ray.tasks, TASKS)])
def test_public_names_of_rooms(room: ModuleType, names: str) -> None:
    assert room.__all__ == names.split()
    for name in room.__all__:
        assert getattr(room, name) is not None


def test_sandbox_alone_imports_neither_ray_nor_torch_nor_other_rooms() -> None:
    loaded = modules_after("import pad_ray.sandbox")
    assert not loaded & {"ray", "torch", "transformers", "pyarrow", "numpy", "pydantic"}
    ours = {name for name in loaded if name.startswith("pad_ray.")}
    assert all(name.startswith("pad_ray.sandbox") for name in ours), ours


def test_package_alone_imports_nothing_heavy() -> None:
    assert not modules_after("import pad_ray") & {"ray", "torch", "transformers"}


@pytest.mark.parametrize(
    "module", ["serving.application", "serving.replica", "evaluation.run", "pipeline.run"]
)
def test_what_loads_no_model_imports_none(module: str) -> None:
    """Seconds and hundreds of megabytes: of an ingress, and of each job before its first word."""
    assert not modules_after(f"import pad_ray.{module}") & {"torch", "transformers", "deepspeed"}
