"""The dataset card: what the Hub and `datasets` read from it, and what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
import yaml
from finished_stages import synthesised
from huggingface_hub import DatasetCard

from pad_ray.base.config import parse_settings
from pad_ray.base.errors import ConfigError
from pad_ray.base.schemas import JUDGED_SCHEMA
from pad_ray.pipeline.report import StageResult
from pad_ray.synthesis.dataset.card import COLUMNS, card_data, licence_of, size_category, write_card
from pad_ray.synthesis.settings import SynthesisSettings
from pad_ray.tasks import TASKS

FAULTS = {"wrong_number": 0.3, "undefined_name": 0.15, "no_code": 0.1}


@pytest.fixture(scope="module")
def synthesis(tmp_path_factory: pytest.TempPathFactory) -> StageResult:
    result = synthesised(tmp_path_factory.mktemp("card") / "data", faults=FAULTS)
    write_card(result.folder, result.manifest)
    return result


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def load(*arguments: str) -> Any:
        return datasets.load_dataset(*arguments, split="train", cache_dir=str(tmp_path / "cache"))

    return load


def said(result: StageResult, **changes: Any) -> str:
    """Write the card with some of the manifest changed and return its text."""
    write_card(result.folder, {**result.manifest, **changes})
    return (result.folder / "README.md").read_text()


def test_both_configurations_load_with_the_rows_of_the_manifest(
    synthesis: StageResult, load: Any
) -> None:
    counts = synthesis.manifest["counts"]
    assert counts["verified"] > 0 and counts["rejected"] > 0
    verified, rejected = load(str(synthesis.folder)), load(str(synthesis.folder), "rejected")
    assert (verified.num_rows, rejected.num_rows) == (counts["verified"], counts["rejected"])
    assert verified.column_names == rejected.column_names == JUDGED_SCHEMA.names
    assert set(verified["reason"]) == {None}
    assert None not in rejected["reason"]


def test_configuration_without_rows_is_not_offered(tmp_path: Path, load: Any) -> None:
    result = synthesised(tmp_path / "data", faults={}, samples=1)
    write_card(result.folder, result.manifest)
    assert result.manifest["counts"]["rejected"] == 0
    assert load(str(result.folder)).num_rows == result.manifest["counts"]["verified"]
    with pytest.raises(ValueError, match="'rejected' not found"):
        load(str(result.folder), "rejected")
    assert "every sample was kept" in (result.folder / "README.md").read_text()


def test_rejected_rows_are_never_loaded_by_default(tmp_path: Path, load: Any) -> None:
    result = synthesised(tmp_path / "data", faults={"no_code": 1.0}, samples=1)
    write_card(result.folder, result.manifest)
    assert load(str(result.folder), "rejected").num_rows == result.manifest["counts"]["rejected"]
    with pytest.raises(Exception, match=r"generating the dataset|no data"):
        load(str(result.folder))


def test_front_matter_is_read_by_the_hubs_library(synthesis: StageResult) -> None:
    card = DatasetCard.load(synthesis.folder / "README.md")
    assert card.data.license == "apache-2.0"
    assert card.data.language == "en"
    assert card.data.size_categories == "n<1K"
    names = [entry["config_name"] for entry in card.data.configs]
    assert names == ["verified", "rejected"]
    assert card.data.configs[0]["default"] is True


def test_counts_and_reasons_stand_in_tables(synthesis: StageResult) -> None:
    card = said(synthesis)
    for reason, count in synthesis.manifest["counts"]["by_reason"].items():
        assert re.search(rf"^\| `{reason}` \| {count:,} \| \S.*\|$", card, re.MULTILINE)
    assert f"| verified | {synthesis.manifest['counts']['verified']:,} |" in card
    assert "| cost in US dollars | not known |" in card
    assert "The teacher is simulated" in card


def test_newer_manifest_shows_cost_and_what_was_left_out(synthesis: StageResult) -> None:
    counts = {**synthesis.manifest["counts"], "not_asked": 1234, "contaminated": 7}
    card = said(synthesis, counts=counts, cost_usd=1234.5, teacher="some_model|x")
    assert "| cost in US dollars | 1,234.50 |" in card
    assert "| samples not asked for | 1,234 |" in card
    assert re.search(r"of a test problem \| 7 \|", card)
    assert r"| teacher | some\_model\|x |" in card
    assert "The teacher is simulated" not in card


def test_every_column_is_explained() -> None:
    assert list(COLUMNS) == JUDGED_SCHEMA.names


def test_config_in_the_card_makes_the_same_dataset_again(
    synthesis: StageResult, tmp_path: Path
) -> None:
    card = said(synthesis)
    block = re.search(r"^```yaml\n(.*?)^```$", card, re.DOTALL | re.MULTILINE)
    command = re.search(r"^pad-ray synthesize (.*)$", card, re.MULTILINE)
    assert block and command
    (tmp_path / "config.yaml").write_text(block[1])
    flags = [
        flag.replace("config.yaml", str(tmp_path / "config.yaml"))
        for flag in shlex.split(command[1])
    ]
    settings = parse_settings(SynthesisSettings, flags, "synthesize")
    assert settings.row_settings() == synthesis.manifest["config"]


def test_backticks_in_a_setting_stay_inside_the_code_block(synthesis: StageResult) -> None:
    config = {**synthesis.manifest["config"], "task": "jsonl", "completions": "a\n````\nb"}
    card = said(synthesis, config=config, inputs={"problems": "00aa"})
    fence = re.search(r"^(`+)yaml\n(.*?)^\1$", card, re.DOTALL | re.MULTILINE)
    assert fence and yaml.safe_load(fence[2]) == config
    assert "--problems FILE --out DIRECTORY" in card
    assert "SHA-256 of the file of problems begins with `00aa`" in card


@pytest.mark.parametrize(
    ("task", "licence"),
    [
        ("gsm8k", "mit"),
        ("math", "mit"),
        ("svamp", "mit"),
        ("asdiv", "cc-by-nc-4.0"),
        ("multiarith", "other"),
        ("gsm_hard", "other"),
        ("coin_flip", "apache-2.0"),
        ("jsonl", "unknown"),
        ("mine.py:TASK", "unknown"),
    ],
)
def test_licence_is_the_sources(task: str, licence: str) -> None:
    assert licence_of(task).name == licence


def test_every_shipped_task_has_a_licence() -> None:
    assert {name for name in TASKS if licence_of(name).name == "unknown"} == {"jsonl"}


def test_tasks_of_different_licences_are_other_and_own_problems_have_no_language() -> None:
    assert card_data(["gsm8k", "asdiv"], "x", 1, []).license == "other"
    assert card_data(["gsm8k", "jsonl"], "x", 1, []).language is None


@pytest.mark.parametrize(
    ("rows", "name"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**7, "10M<n<100M"), (10**9, "n>1B")],
)
def test_size_category_is_the_hubs(rows: int, name: str) -> None:
    assert size_category(rows) == name


def test_rows_are_not_read(synthesis: StageResult, tmp_path: Path) -> None:
    write_card(tmp_path, synthesis.manifest)
    assert pq.read_table(synthesis.folder / "verified").num_rows
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_folder_that_cannot_be_written_is_one_line(synthesis: StageResult, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"out: cannot write .*README\.md: No such file"):
        write_card(tmp_path / "gone", synthesis.manifest)
