"""The pictures in ``docs`` show what the demo study holds now, and say nothing that is not so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lxml import etree

from demo.excerpt import excerpts
from demo.pictures import PICTURES, draw
from demo.study import exported

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
IMAGE = re.compile(r"!\[([^\]]+)\]\(([^)]+)\)")


@pytest.fixture(scope="module")
def export() -> bytes:
    return exported()


@pytest.fixture(scope="module")
def pictures(export: bytes) -> dict[str, str]:
    return draw(export)


def test_they_are_those_that_the_code_draws(pictures: dict[str, str]) -> None:
    """``make pictures`` draws them again."""
    assert {path.name: path.read_text(encoding="utf-8") for path in PICTURES.glob("*")} == pictures


def test_each_site_has_a_percentage_for_each_visit(pictures: dict[str, str]) -> None:
    texts = [text.text or "" for text in etree.fromstring(pictures["completeness.svg"].encode()).iter("{*}text")]
    assert [text for text in texts if text.startswith(("Harbor", "Rijnzicht"))] == [
        "Harbor Street Clinic, Boston",
        "Rijnzicht Clinic, Leiden",
    ]
    assert len([text for text in texts if re.fullmatch(r"\d{2}%", text)]) == 2 * 6


def test_the_bars_add_up_to_what_is_open(pictures: dict[str, str]) -> None:
    texts = [text.text or "" for text in etree.fromstring(pictures["open-queries.svg"].encode()).iter("{*}text")]
    (told,) = (re.search(r"(\d+) queries are open", text) for text in texts if "are open" in text)
    assert told
    assert sum(int(text) for text in texts if text.isdigit()) == int(told[1]) > 0


@pytest.mark.parametrize("picture", ["completeness.svg", "open-queries.svg"])
def test_nobody_is_named_in_a_picture(pictures: dict[str, str], picture: str) -> None:
    assert not re.search("BOS-|LEI-|SS_", pictures[picture])


def test_each_picture_is_shown_somewhere_with_words_for_those_who_cannot_see_it() -> None:
    shown = {
        (page.parent / target).resolve(): words
        for page in PAGES
        for words, target in IMAGE.findall(page.read_text(encoding="utf-8"))
    }
    assert set(shown) == {path.resolve() for path in PICTURES.glob("*")}
    assert all(len(words) > 20 for words in shown.values())


def test_the_rows_that_the_page_shows_are_those_of_the_tables(export: bytes) -> None:
    """``python -m demo.excerpt`` prints them."""
    page = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    for table, text in excerpts(export).items():
        assert f"`{table}`" in page
        assert f"```text\n{text}\n```" in page
