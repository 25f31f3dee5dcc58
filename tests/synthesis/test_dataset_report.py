"""The report of a synthesis directory: what it says, and that it works in a browser."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browsers import in_a_browser
from finished_stages import synthesised
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab
from report_pages import ATTACK, Page

from pad_ray.base.errors import ConfigError, DataError
from pad_ray.base.plots import histogram_figure
from pad_ray.base.schemas import JUDGED_SCHEMA
from pad_ray.pipeline.report import StageResult
from pad_ray.synthesis.dataset.queries import open_rows
from pad_ray.synthesis.dataset.report import write_dataset_report

FAULTS = {"wrong_number": 0.25, "undefined_name": 0.15, "no_code": 0.1, "syntax_error": 0.1}


@pytest.fixture(scope="module")
def synthesis(tmp_path_factory: pytest.TempPathFactory) -> StageResult:
    folder = tmp_path_factory.mktemp("report") / "odd [1] name"
    return synthesised(folder, faults=FAULTS, count=60, samples=4)


@pytest.fixture(scope="module")
def page(synthesis: StageResult) -> str:
    return write_dataset_report(synthesis.folder, synthesis.manifest).read_text()


@pytest.fixture
def remade(synthesis: StageResult, tmp_path: Path) -> Any:
    """Return a function that writes the report of changed rows or a changed manifest."""

    def remade(change: Any = None, **manifest: Any) -> str:
        for part in ("verified", "rejected"):
            table = pq.read_table(synthesis.folder / part)
            (tmp_path / part).mkdir(exist_ok=True)
            rows = [(change or (lambda row: row))(row) for row in table.to_pylist()]
            changed = pa.Table.from_pylist([row for row in rows if row], schema=JUDGED_SCHEMA)
            pq.write_table(changed, tmp_path / part / "part-00000.parquet")
        return write_dataset_report(tmp_path, {**synthesis.manifest, **manifest}).read_text()

    return remade


def all_rows(result: StageResult) -> list[dict[str, Any]]:
    return [
        row
        for part in ("verified", "rejected")
        for row in pq.read_table(result.folder / part).to_pylist()
    ]


def numbers(page: str, head: str) -> dict[str, int]:
    """Read the numbers below a figure."""
    table = re.search(rf'<th scope="col">{head}</th>.*?</table>', page, re.DOTALL)
    assert table
    rows = re.findall(r'<th scope="row">(.*?)</th><td class="number">([\d,]+)</td>', table[0])
    return {label: int(count.replace(",", "")) for label, count in rows}


def test_page_is_well_formed_and_loads_nothing(page: str) -> None:
    parsed = Page(page)
    ids = parsed.values("id")
    assert parsed.broken == [] and parsed.open == []
    assert len(ids) == len(set(ids))
    assert not {tag for tag, _ in parsed.tags} & {"link", "img", "iframe", "object"}
    assert not parsed.values("src") and "://" not in page and "@import" not in page


def test_page_is_the_same_each_time(page: str, synthesis: StageResult) -> None:
    assert write_dataset_report(synthesis.folder, synthesis.manifest).read_text() == page


def test_funnel_and_reasons_are_the_manifests(page: str, synthesis: StageResult) -> None:
    counts = synthesis.manifest["counts"]
    assert f"{counts['verified']:,} ({counts['verified'] / counts['rows']:.1%})" in page
    for reason, number in counts["by_reason"].items():
        row = rf"<code>{reason}</code>.*?<td class=\"number\">{number}</td>"
        assert re.search(row, page, re.DOTALL)
    assert "It asks no language model" in Page(page).text


def test_pass_rates_count_every_problem_once(page: str, synthesis: StageResult) -> None:
    right = Counter()
    for row in all_rows(synthesis):
        right[row["problem_id"]] += row["reason"] in (None, "duplicate")
    shares = Counter(right.values())
    shown = numbers(page, "Samples that are right")
    assert sum(shown.values()) == len(right) == synthesis.manifest["counts"]["problems"]
    wanted = ("none", "20% to 30%", "50% to 60%", "70% to 80%", "all")
    assert [shown[label] for label in wanted] == [shares[n] for n in range(5)]


def test_pass_rate_that_rows_state_is_taken(remade: Any) -> None:
    shown = numbers(remade(lambda row: row | {"pass_rate": 0.999}), "Samples that are right")
    assert {label for label, count in shown.items() if count} == {"90% to 100%"}


def test_lengths_are_those_of_the_verified_programs(page: str, synthesis: StageResult) -> None:
    rows = [row for row in all_rows(synthesis) if row["reason"] is None]
    lengths = Counter(len(row["program"].strip().splitlines()) for row in rows)
    assert numbers(page, "Lines") == {str(n): count for n, count in sorted(lengths.items())}


def test_very_long_programs_share_one_bar(remade: Any) -> None:
    page = remade(lambda row: row | {"program": "x = 1\n" * 90 + "# end\n\n"})
    assert list(numbers(page, "Lines")) == ["40 or more"]


def test_samples_are_of_every_reason_and_as_their_rows_say(
    page: str, synthesis: StageResult
) -> None:
    cards = page[page.index('<div class="examples">') :].split("<article")[1:]
    rows = {row["row_id"]: row for row in all_rows(synthesis)}
    shown = [rows[re.search(r"<h3>(.*?)</h3>", card)[1]] for card in cards]  # type: ignore[index]
    assert len(shown) == len({row["row_id"] for row in shown}) == 50
    assert sum(row["reason"] is None for row in shown) == 25
    assert {row["reason"] for row in shown} == {None, *synthesis.manifest["counts"]["by_reason"]}
    for card, row in zip(cards, shown, strict=True):
        text = Page("<article" + card).text
        assert " ".join((row["program"] or row["completion"]).split()) in text
        assert f"Gold answer {row['answer']}" in text
        assert ("✓ verified" if row["reason"] is None else f"✗ {row['reason']}") in text


def test_rare_reason_is_among_the_samples(synthesis: StageResult) -> None:
    with open_rows(synthesis.folder) as rows:
        few = rows.samples("rejected", 5)
    assert len({row["reason"] for row in few}) == 5


def test_tokens_and_cost_a_verified_program(remade: Any, synthesis: StageResult) -> None:
    verified = synthesis.manifest["counts"]["verified"]
    tokens = {"prompt_tokens": 100 * verified, "completion_tokens": 25 * verified}
    text = Page(remade(cost_usd=0.5 * verified, tokens=tokens)).text
    assert "$0.50000 a verified program" in text
    assert "100.0 a verified program" in text and "25.0 a verified program" in text


def test_rounds_and_what_was_left_out_appear(remade: Any, synthesis: StageResult) -> None:
    more = {
        "rounds": [
            {"samples": 2, "asked": 1000, "right": 250},
            {"samples": 8, "asked": 0, "right": 0},
        ],
        "not_asked": 4321,
        "contaminated": 7,
    }
    text = Page(remade(counts={**synthesis.manifest["counts"], **more})).text
    assert "1 2 1,000 250 25.0%" in text and "2 8 0 0 0.0%" in text
    assert "Not asked 4,321 samples" in text and "Contaminated 7 problems" in text


def test_without_rounds_or_cost_nothing_is_made_up(page: str) -> None:
    assert 'aria-label="Rounds"' not in page
    assert "Cost not known" in Page(page).text


def test_nothing_verified_is_said(remade: Any, synthesis: StageResult) -> None:
    counts = synthesis.manifest["counts"]
    none = {**counts, "verified": 0, "rejected": counts["rows"], "solved_problems": 0}
    text = Page(remade(lambda row: row if row["reason"] else None, counts=none)).text
    assert "No program was verified" in text


def test_dataset_of_no_rows_has_a_report(remade: Any, synthesis: StageResult) -> None:
    zero = dict.fromkeys(("problems", "rows", "verified", "rejected", "solved_problems"), 0)
    counts = {**synthesis.manifest["counts"], **zero, "by_reason": {}, "errors_by_type": {}}
    assert Page(remade(lambda row: None, counts=counts)).broken == []


def test_markup_in_rows_is_harmless(remade: Any) -> None:
    text = dict.fromkeys(("question", "answer", "program", "message", "error_type"), ATTACK)
    page = remade(lambda row: row | text | {"value": json.dumps(ATTACK)}, teacher=ATTACK)
    assert page.count("<script") == 1
    parsed = Page(page)
    assert parsed.broken == [] and parsed.open == []
    assert parsed.text.count("<script>alert('x')</script>") >= 250


def test_unreadable_rows_are_one_line(remade: Any, synthesis: StageResult, tmp_path: Path) -> None:
    remade()
    (tmp_path / "rejected" / "part-00000.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="its rows cannot be read: ") as error:
        write_dataset_report(tmp_path, synthesis.manifest)
    assert "\n" not in str(error.value)
    shutil.rmtree(tmp_path / "rejected")
    with pytest.raises(DataError, match="its rows cannot be read: "):
        write_dataset_report(tmp_path, synthesis.manifest)


def test_report_that_cannot_be_written_is_one_line(remade: Any, tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ConfigError, match=r"out: cannot write .*report\.html"):
        remade()


@pytest.mark.parametrize("counts", [[], [0, 0], [10**7, 3]])
def test_any_counts_can_be_drawn(counts: list[int]) -> None:
    svg = histogram_figure("h", "Counts <b>", counts, {0: "a"}, "axis")
    assert Page(svg).broken == []
    assert "#0a0b0" not in svg


def visit(browser: Browser, folder: Path, width: int = 1280, **context: Any) -> Tab:
    tab = browser.new_page(viewport={"width": width, "height": 900}, **context)
    tab.on("pageerror", lambda error: pytest.fail(str(error)))
    tab.on("console", lambda message: pytest.fail(message.text))
    tab.goto((folder / "report.html").as_uri())
    return tab


@in_a_browser
def test_filter_by_reason_and_text(browser: Browser, synthesis: StageResult, page: str) -> None:
    tab = visit(browser, synthesis.folder)
    shown = tab.locator("article[data-reason]:visible")
    expect(shown).to_have_count(50)
    tab.get_by_label("Outcome").select_option("wrong_answer")
    wrong = page.count('data-reason="wrong_answer"')
    expect(shown).to_have_count(wrong)
    expect(tab.locator("output")).to_have_text(f"{wrong} of 50 shown")
    tab.get_by_label("Outcome").select_option("error")
    tab.get_by_label("Text").fill("nameerror IS NOT defined")
    expect(shown).to_have_count(page.count('data-reason="error"'))
    tab.get_by_label("Text").fill("no such words anywhere")
    expect(shown).to_have_count(0)
    tab.get_by_label("Text").fill("")
    tab.get_by_label("Outcome").select_option("")
    expect(shown).to_have_count(50)
    tab.close()


@in_a_browser
def test_without_script_it_is_a_plain_list(browser: Browser, synthesis: StageResult) -> None:
    tab = visit(browser, synthesis.folder, java_script_enabled=False)
    expect(tab.locator("article[data-reason]:visible")).to_have_count(50)
    expect(tab.locator("#filters")).to_be_hidden()
    tab.close()


@in_a_browser
@pytest.mark.parametrize("width", [1280, 768, 320])
def test_page_never_scrolls_sideways(
    browser: Browser, remade: Any, tmp_path: Path, width: int
) -> None:
    remade(
        lambda row: row | {"question": "long" * 200, "answer": "9" * 200, "message": "m" * 400},
        teacher="model/" * 40,
    )
    tab = visit(browser, tmp_path, width)
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    tab.close()


@in_a_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_and_figures_follow_the_readers_colours(
    browser: Browser, synthesis: StageResult, page: str, scheme: str
) -> None:
    tab = visit(browser, synthesis.folder, color_scheme=scheme)
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    field = tab.evaluate("getComputedStyle(filters.elements.text).backgroundColor")
    bar = tab.evaluate(
        "getComputedStyle([...document.querySelectorAll('figure path')]"
        ".find(p => p.style.fill.includes('--first'))).fill"
    )
    dark = scheme == "dark"
    assert (background, field) == (
        ("rgb(17, 21, 27)", "rgb(26, 32, 41)")
        if dark
        else ("rgb(246, 247, 249)", "rgb(255, 255, 255)")
    )
    assert bar == ("rgb(111, 157, 245)" if dark else "rgb(47, 98, 201)")
    tab.close()
