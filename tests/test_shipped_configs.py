"""Every YAML that is shipped parses into its job's settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from pad_ray.config import parse_settings
from pad_ray.pipeline import PipelineSettings

CONFIGS = sorted((Path(__file__).parents[1] / "jobs/configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_config_parses(path: Path) -> None:
    settings = parse_settings(PipelineSettings, ["--config", str(path)], "pipeline")
    assert settings.synthesis
    assert settings.evaluation


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_config_starts_with_its_command(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert first == f"# python jobs/pipeline.py --config jobs/configs/{path.name}"


def test_there_are_shipped_configs() -> None:
    assert CONFIGS
