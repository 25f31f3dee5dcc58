"""Every YAML that is shipped parses into its job's settings, with the command that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pad_ray.comparison import ComparisonSettings
from pad_ray.config import Settings, parse_settings
from pad_ray.evaluation import EvaluationSettings
from pad_ray.pipeline import PipelineSettings

CONFIGS = sorted((Path(__file__).parents[1] / "jobs/configs").glob("*.yaml"))
MODELS: dict[str, type[Settings]] = {
    "pipeline": PipelineSettings,
    "evaluate": EvaluationSettings,
    "compare_decoding": ComparisonSettings,
}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_config_starts_with_a_command_that_parses(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    found = re.fullmatch(rf"# python jobs/(\w+)\.py --config jobs/configs/{path.name}(.*)", first)
    assert found, first
    flags = shlex.split(found[2])
    settings = parse_settings(MODELS[found[1]], ["--config", str(path), *flags], found[1])
    assert isinstance(settings, MODELS[found[1]])


def test_there_are_shipped_configs() -> None:
    assert {path.stem for path in CONFIGS} >= {"demo", "gsm8k", "paper", "compare_decoding"}
