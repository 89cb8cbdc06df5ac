"""The pictures in ``docs`` show what the demo study holds now, and say nothing that is not so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lxml import etree

from demo.pictures import PICTURES, draw

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


@pytest.fixture(scope="module")
def pictures() -> dict[str, str]:
    return draw()


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
