"""The documentation stays true: what is cited is there, what is linked exists, what is shown as Python can run."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "airflow_provider_openclinica"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CITATION = re.compile(r"docs/(protocol3?|clinone)\.md,\s+([a-z][a-z ]*[a-z])")
LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block of Python in a page."""

    page: str
    line: int
    text: str

    @property
    def is_dag(self) -> bool:
        return re.search(r"^from airflow|^import airflow", self.text, re.MULTILINE) is not None


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+ +(.+?) *$", re.sub(FENCE, "", page.read_text()), re.MULTILINE)


def anchors(page: Path) -> set[str]:
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page)}


def flat(text: str) -> str:
    """Join the lines of a text, so that a citation may be wrapped, inside a comment too."""
    return re.sub(r"\s*\n\s*(#:?\s+)?", " ", text)


def citations() -> list[tuple[str, str, str]]:
    modules = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")])
    return [
        (str(module.relative_to(ROOT)), page, section)
        for module in modules
        if module != Path(__file__)
        for page, section in CITATION.findall(flat(module.read_text()))
    ]


def links() -> list[tuple[str, str]]:
    return [
        (str(page.relative_to(ROOT)), target)
        for page in PAGES
        for target in LINK.findall(re.sub(FENCE, "", page.read_text()))
        if not re.match(r"[a-z]+:", target)
    ]


def blocks() -> list[Block]:
    return [
        Block(str(page.relative_to(ROOT)), page.read_text()[: match.start()].count("\n") + 2, match[1])
        for page in PAGES
        for match in FENCE.finditer(page.read_text())
    ]


def names(block: Block) -> str:
    return f"{block.page}-line-{block.line}"


def test_the_protocol_page_has_one_heading_for_each_name() -> None:
    found = headings(ROOT / "docs" / "protocol.md")
    assert len(found) == len(set(found))


@pytest.mark.parametrize("cited", sorted(set(citations())), ids=": ".join)
def test_a_cited_section_exists(cited: tuple[str, str, str]) -> None:
    module, page, section = cited
    known = headings(ROOT / "docs" / f"{page}.md")
    assert any(section == name or section.startswith(f"{name} ") for name in known), f"{module} cites {section!r}"


@pytest.mark.parametrize("link", links(), ids=": ".join)
def test_a_relative_link_leads_somewhere(link: tuple[str, str]) -> None:
    page, target = link
    path, _, anchor = target.partition("#")
    destination = (ROOT / page).parent / path if path else ROOT / page
    assert destination.exists(), f"{page} links to {target}"
    if anchor:
        assert anchor in anchors(destination), f"{destination.name} has no heading for #{anchor}"


@pytest.mark.parametrize("block", blocks(), ids=names)
def test_a_block_of_python_compiles(block: Block) -> None:
    ast.parse("\n" * (block.line - 1) + block.text, filename=block.page)


@pytest.mark.parametrize("block", [block for block in blocks() if block.is_dag], ids=names)
def test_a_dag_in_the_documentation_imports(block: Block) -> None:
    from airflow.providers.common.compat.sdk import DAG

    scope: dict[str, object] = {"__name__": "docs"}
    exec(compile("\n" * (block.line - 1) + block.text, block.page, "exec"), scope)  # noqa: S102
    dags = [value for value in scope.values() if isinstance(value, DAG)]
    assert all(dag.tasks for dag in dags)
