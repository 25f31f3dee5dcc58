"""Every YAML that is shipped parses into its job's settings, with the command that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from pad_ray.base.config import Settings, parse_settings
from pad_ray.evaluation.comparison_settings import ComparisonSettings
from pad_ray.evaluation.settings import EvaluationSettings
from pad_ray.pipeline.experiment.settings import ExperimentSettings
from pad_ray.pipeline.refinement.settings import RefinementSettings
from pad_ray.pipeline.run import _SERVED
from pad_ray.pipeline.settings import PipelineSettings
from pad_ray.serving import ServingSettings, build

CONFIGS = sorted((Path(__file__).parents[2] / "jobs/configs").glob("*.yaml"))
MODELS: dict[str, type[Settings]] = {
    "pipeline": PipelineSettings,
    "evaluate": EvaluationSettings,
    "compare_decoding": ComparisonSettings,
    "refine": RefinementSettings,
    "experiment": ExperimentSettings,
}


def parsed(path: Path, config: Path, *more: str) -> Settings:
    """Return the settings of the command that a shipped file names, with another file in it."""
    first = path.read_text().splitlines()[0]
    found = re.fullmatch(rf"# pad-ray (\w+) --config jobs/configs/{path.name}(.*)", first)
    assert found, first
    flags = ["--config", str(config), *shlex.split(found[2]), *more]
    return parse_settings(MODELS[found[1]], flags, found[1])


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_config_starts_with_a_command_that_parses(path: Path) -> None:
    assert isinstance(parsed(path, path), Settings)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_printed_config_is_the_config(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed(path, path, "--print_config")
    printed = tmp_path / "printed.yaml"
    printed.write_text(capsys.readouterr().out)
    assert parsed(path, printed) == parsed(path, path)


def test_there_are_shipped_configs() -> None:
    assert {path.stem for path in CONFIGS} >= {
        "demo",
        "gsm8k",
        "paper",
        "compare_decoding",
        "refine",
    }


def test_the_served_application_parses() -> None:
    file = Path(__file__).parents[2] / "cluster/serve.yaml"
    assert file.read_text().startswith("# serve run cluster/serve.yaml\n")
    schema = ServeDeploySchema.model_validate(yaml.safe_load(file.read_text()))
    (application,) = schema.applications
    assert application.import_path == "pad_ray.serving:build"
    settings = ServingSettings.model_validate(application.args)
    build(application.args)
    # Which the demo names at its end.
    assert [student.path for student in settings.students.values()] == [f"{_SERVED}/student"]
    assert schema.http_options.host == "127.0.0.1" and not settings.doors.keys_file
