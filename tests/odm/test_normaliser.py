"""The normal form says what the document said, to a server that mishandles almost everything."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_openclinica import odm
from airflow_provider_openclinica.errors import FileError
from tests.odm.castor import read_as_server
from tests.odm.documents import CLINICAL, ITEM, ROOT, Model, changed, document, models, rendered, with_item, with_note

DATA = Path(__file__).parent / "data"


def normalised(source: Path | io.BytesIO | bytes) -> bytes:
    target = io.BytesIO()
    odm.normalise(io.BytesIO(source) if isinstance(source, bytes) else source, target)
    return target.getvalue()


def without_empty(model: Model) -> Model:
    """Say what a model means to the importer: an empty attribute is none, except that an empty Value clears."""
    name, attributes, children = model
    kept = {each: value for each, value in attributes.items() if value or each == "Value"}
    return name, kept, [child if isinstance(child, str) else without_empty(child) for child in children]


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_whatever_a_document_says_a_server_that_deletes_line_breaks_reads_from_the_normal_form(data):
    model = data.draw(models())
    source = data.draw(rendered(model))
    result = normalised(source)
    assert read_as_server(result) == without_empty(model)
    assert result.isascii()
    assert normalised(result) == result


@given(st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_the_order_of_attributes_and_the_spelling_of_names_change_no_byte(data):
    model = data.draw(models())
    assert normalised(data.draw(rendered(model))) == normalised(data.draw(rendered(model)))


def test_every_tag_stands_on_a_line_of_its_own_and_whole():
    lines = normalised(DATA / "careless.xml").decode("ascii").splitlines()
    assert all(re.fullmatch(r"<[^<>]+>(.*</[\w:]+>)?", line) for line in lines)


def test_a_careless_document_becomes_this():
    assert normalised(DATA / "careless.xml") == (DATA / "careless.normalised.xml").read_bytes()


def test_an_export_with_another_time_of_creation_gives_the_same_bytes():
    early = document(root=ROOT.replace(">", ' CreationDateTime="2026-01-05T08:00:00" FileOID="A">'))
    late = document(root=ROOT.replace(">", ' CreationDateTime="2026-01-05T09:00:00" FileOID="B">'))
    assert normalised(early) == normalised(late)


@pytest.mark.parametrize("encoding", ["utf-8", "utf8", "utf-16", "utf-16le", "iso-8859-1", "windows-1252"])
def test_the_encoding_of_the_source_does_not_matter(encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?>{ROOT}{CLINICAL.replace("72", "36.6 °C")}</ODM>'
    assert b'Value="36.6 &#176;C"' in normalised(text.encode(encoding))


def test_a_byte_order_mark_is_taken_off():
    assert normalised(b"\xef\xbb\xbf" + document().getvalue()) == normalised(document())


def test_metadata_and_what_the_import_does_not_read_are_left_out():
    source = changed("<SubjectData ", '<SiteRef LocationOID="X"><b>text</b></SiteRef><SubjectData Sex="f" ')
    with_study = source.getvalue().replace(b"<ClinicalData", b'<Study OID="S"><x>text</x></Study><ClinicalData', 1)
    assert normalised(with_study) == normalised(document())


def test_removed_survives_beside_the_transaction_type_of_exports():
    source = changed(
        ' ItemGroupRepeatKey="1"', ' OpenClinica:Removed="Yes" ItemGroupRepeatKey="2" TransactionType="Insert"'
    )
    assert b'<ItemGroupData ItemGroupOID="IG_V" ItemGroupRepeatKey="2" Removed="Yes">' in normalised(source)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        pytest.param("<t>\n  a\n  b\n</t>", "a&#10;  b", id="indentation-around-a-note-is-trimmed"),
        pytest.param('<t xml:space="preserve"> a&#10;b </t>', " a&#10;b ", id="a-preserved-one-is-kept-as-it-is"),
        pytest.param("<t><![CDATA[a < b]]> &amp; c</t>", "a &lt; b &amp; c", id="cdata-becomes-text"),
        pytest.param("<t>a<!-- x -->b</t>", "ab", id="a-comment-does-not-part-it"),
    ],
)
def test_a_note_keeps_its_line_breaks(written, text):
    detailed = re.sub("(</?)t", r"\1OpenClinica:DetailedNote", written)
    note = (
        '<OpenClinica:DiscrepancyNotes><OpenClinica:DiscrepancyNote ID="D" NoteType="Query">'
        f'<OpenClinica:ChildNote ID="C">{detailed}'
        "</OpenClinica:ChildNote></OpenClinica:DiscrepancyNote></OpenClinica:DiscrepancyNotes>"
    )
    expected = f'<OpenClinica:DetailedNote xml:space="preserve">{text}</OpenClinica:DetailedNote>\n'
    assert expected.encode() in normalised(with_note(note))


def test_an_empty_value_stays_and_other_empty_attributes_go():
    source = with_item('<ItemData ItemOID="I_HR" Value="" IsNull=""/>')
    assert b'<ItemData ItemOID="I_HR" Value=""/>' in normalised(source)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        pytest.param(lambda: io.BytesIO(b""), "the file is empty", id="empty"),
        pytest.param(lambda: with_item(ITEM[:-2]), "line 9: ", id="broken"),
        pytest.param(lambda: with_item("<ItemData>x</ItemData>"), "line 8: there is text in ItemData", id="text"),
        pytest.param(lambda: with_item('<ItemDataString ItemOID="I">x</ItemDataString>'), "ItemDataString", id="typed"),
        pytest.param(lambda: Path("/nowhere/odm.xml"), "cannot be opened: No such file", id="no-such-file"),
    ],
)
def test_what_it_cannot_write_faithfully_it_refuses_with_the_line(source, words):
    with pytest.raises(FileError, match=words):
        normalised(source())


def test_what_it_refuses_leaves_the_target_open_so_that_its_owner_can_discard_it():
    target = io.BytesIO()
    with pytest.raises(FileError):
        odm.normalise(io.BytesIO(b"<html/>"), target)
    assert not target.closed


def test_memory_stays_small_while_a_document_grows(tmp_path):
    import tracemalloc

    participants = CLINICAL[CLINICAL.index("<SubjectData") : CLINICAL.index("</ClinicalData>")]
    path = tmp_path / "large.xml"
    with path.open("w") as file:
        file.write(f'{ROOT}<ClinicalData StudyOID="S_JUNO">')
        file.writelines(participants for _ in range(10_000))
        file.write("</ClinicalData></ODM>")
    assert path.stat().st_size > 3_000_000
    tracemalloc.start()
    with (tmp_path / "normalised.xml").open("wb") as target:
        odm.normalise(path, target)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
