"""The page in a real browser: asked by keyboard, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import in_a_browser
from endpoints import KEY, Endpoint
from playwright.sync_api import Browser, Page, expect
from small_students import Example

pytestmark = in_a_browser


@pytest.fixture(params=[(1280, 900), (360, 740)], ids=["desk", "phone"])
def page(browser: Browser, endpoint: Endpoint, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = request.param
    page = browser.new_page(viewport={"width": width, "height": height})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    outside: list[str] = []
    page.on("request", lambda sent: outside.append(sent.url))
    page.goto(endpoint.url + "/")
    yield page
    page.close()
    assert not complaints
    assert all(url.startswith(endpoint.url) or url.startswith("data:") for url in outside)


def ask(page: Page, question: str, strategy: str = "stepwise") -> None:
    """By keyboard alone, as the labels name the fields."""
    page.get_by_label("API key").focus()
    page.keyboard.type(KEY)
    page.keyboard.press("Tab")
    expect(page.get_by_label("Student").get_by_role("option")).to_have_count(2)
    page.get_by_label("Strategy").select_option(strategy)
    page.get_by_label("Question").focus()
    page.keyboard.type(question)
    page.keyboard.press("Control+Enter")


def test_steps_appear_and_the_answer_is_shown(
    page: Page, examples: list[Example], tmp_path: Path
) -> None:
    one = examples[0]
    ask(page, one.question)
    expect(page.locator("#answer")).to_have_text(str(one.answer), timeout=60_000)
    assert page.locator("#program").inner_text().strip().startswith("def solution")
    kept, lost = page.locator("li.kept"), page.locator("li.lost")
    assert kept.count() >= 3
    expect(kept.first.locator(".why")).to_contain_text("kept: log p")
    for number in range(lost.count()):
        assert "log p" in lost.nth(number).locator(".why").inner_text()
    assert "/v1/solve" in page.locator("#curl").inner_text()
    assert KEY not in page.locator("#curl").inner_text()
    expect(page.get_by_role("status")).to_contain_text("Answered by stepwise")
    fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert page.evaluate(fits)
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_the_program_can_be_copied(page: Page, examples: list[Example]) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, examples[1].question, "greedy")
    expect(page.locator("#answer")).not_to_be_empty(timeout=60_000)
    page.get_by_role("button", name="Copy program").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == page.locator("#program").inner_text().strip()


def test_an_error_is_said_in_words(page: Page) -> None:
    page.get_by_label("Question").fill("How many?")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("alert")).to_contain_text("send your key", timeout=30_000)
    expect(page.get_by_role("button", name="Ask")).to_be_enabled()


def test_markup_in_a_question_stays_text(page: Page) -> None:
    ask(page, "<img src=x onerror=alert(1)> has 3 pens and gets 4 more. How many?", "vote")
    expect(page.get_by_role("status")).to_contain_text("by vote", timeout=60_000)
    assert page.locator("main img").count() == 0


@pytest.mark.parametrize("tag", ["question", "model", "strategy", "key"])
def test_every_field_has_a_label(page: Page, tag: str) -> None:
    assert page.locator(f"label[for={tag}]").count() == 1
