"""The sources, checked: claims are found by words and verdict, and are there without a script."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page

from tests.web.visit import visit
from web.extension import sources

NAME = sources.PAGE + ".html"
ROWS = "table.sources-claims tbody tr"


def shown(page: Page) -> list[str]:
    """The verdicts of the claims that can be seen."""
    return page.locator(f"{ROWS}:visible .verdict").all_inner_texts()


def test_all_claims_are_there_without_a_script(chromium: Browser, address: str) -> None:
    with visit(chromium, address, NAME, javascript=False) as seen:
        assert seen.page.locator(f"{ROWS}:visible").count() == len(sources.read())
        assert not seen.page.locator(".sources-filter").count()


def test_a_verdict_and_words_choose(chromium: Browser, address: str) -> None:
    with visit(chromium, address, NAME) as seen:
        page, status = seen.page, seen.page.get_by_role("status")
        entries = sources.read()
        assert status.inner_text() == f"{len(entries)} of {len(entries)} claims"
        wrong = sum(entry.verdict == "wrong" for entry in entries)
        page.get_by_role("button", name=f"wrong {wrong}").click()
        assert shown(page) == ["wrong"] * wrong
        page.get_by_label(re.compile("Words")).fill("ENCODER  decoder")
        found = shown(page)
        assert 0 < len(found) < wrong
        assert status.inner_text() == f"{len(found)} of {len(entries)} claims"
        page.get_by_label(re.compile("Words")).fill("no such words anywhere")
        assert not shown(page)
        assert not page.locator("h2:visible").count()
        page.get_by_label(re.compile("Words")).fill("")
        page.get_by_role("button", name=f"all {len(entries)}").click()
        assert len(shown(page)) == len(entries)
        assert not seen.faults


def test_the_keyboard_suffices(chromium: Browser, address: str) -> None:
    with visit(chromium, address, NAME) as seen:
        page = seen.page
        page.get_by_label(re.compile("Words")).focus()
        page.keyboard.type("softmax")
        page.keyboard.press("Enter")
        assert 0 < len(shown(page)) < 60
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        assert page.locator(".sources-filter [aria-pressed=true]").inner_text().startswith("true ")
        assert set(shown(page)) == {"true"}


@pytest.mark.parametrize("width", [1280, 390])
def test_a_link_leads_to_its_cell(chromium: Browser, address: str, width: int) -> None:
    with visit(chromium, address, NAME, width=width) as seen:
        link = seen.page.locator(".shown-by a[href*='#cell-']").first
        anchor = (link.get_attribute("href") or "").rpartition("#")[2]
        link.click()
        assert seen.page.locator(f"#{anchor}").is_visible()


def test_a_link_opens_the_solution_that_holds_its_cell(chromium: Browser, address: str) -> None:
    with visit(chromium, address, NAME) as seen:
        seen.page.locator(".shown-by a[href*='#cell-ex-']").first.click()
        seen.page.wait_for_load_state("load")
        assert seen.page.locator("[id^=cell-ex-]:target").is_visible()
        assert not seen.page.locator(".toggle-hidden:has(:target)").count()
