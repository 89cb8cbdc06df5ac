"""Counting elements in bytes, wherever these are cut."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.odm.reader import rows
from airflow_provider_openclinica.odm.tally import ELEMENTS, Tally
from tests.odm.exports import EXPORTS, export


def counted(document: bytes, size: int) -> Tally:
    tally = Tally()
    for start in range(0, len(document), size):
        tally.take(document[start : start + size])
    return tally


@given(EXPORTS, st.integers(1, 400))
def test_it_counts_what_a_reader_finds(clinical: Any, size: int) -> None:
    document = export(*clinical).encode()
    found = dict.fromkeys(ELEMENTS, 0)
    for table, _ in rows(io.BytesIO(document)):
        if table in found:
            found[table] += 1
    tally = counted(document, size)
    assert tally.counts == found


def test_typed_items_are_items_and_metadata_are_none() -> None:
    document = b"<ODM><ItemDef/><FormDef/><ItemDataString>a</ItemDataString><ItemData/><ItemGroupRef/></ODM>"
    assert counted(document, 7).counts == {"participants": 0, "events": 0, "forms": 0, "item_groups": 0, "items": 2}


@given(
    st.lists(st.sampled_from([*ELEMENTS.values(), b"<", b"</", b"/>", b"Item", b"Data", b"<Form", b"String", b"x"])),
    st.integers(1, 40),
)
def test_wherever_it_is_cut_it_counts_each_name_behind_a_bracket_once(parts: list[bytes], size: int) -> None:
    document = b"".join(parts)
    assert counted(document, size).counts == {name: document.count(tag) for name, tag in ELEMENTS.items()}
