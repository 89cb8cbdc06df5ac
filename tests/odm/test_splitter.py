"""A document is cut where the server needs it, and no participant, item or order is lost on the way."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_openclinica import odm
from airflow_provider_openclinica.errors import ConfigurationError, FileError
from tests.odm.castor import read_as_server
from tests.odm.documents import CLINICAL, ITEM, SUBJECT, changed, document

Participant = tuple[str, int]  # participant ID, number of items


def participant(label: str, items: int) -> str:
    many = "\n".join(ITEM.replace("I_HR", f"I_{number}") for number in range(items))
    return SUBJECT.replace("SS_1", f"SS_{label}").replace("B-001", label).replace(ITEM, many)


def study(*participants: Participant, oid: str = "S_JUNO") -> str:
    subjects = "\n".join(participant(label, items) for label, items in participants)
    return f'<ClinicalData StudyOID="{oid}">\n{subjects}\n</ClinicalData>'


def labels_in(part: odm.Part) -> list[str]:
    _, _, [(_, _, children)] = read_as_server(part.path.read_bytes())
    return [attributes["StudySubjectID"] for name, attributes, _ in children if name == "SubjectData"]


def site_of(_study: str, _key: str, label: str) -> str:
    return {"B": "S_BOSTON", "L": "S_LEIDEN"}.get(label[0], "")


def test_a_document_that_needs_no_cut_is_one_part_in_the_normal_form(tmp_path):
    (part,) = odm.split(document(), tmp_path, max_items=1000)
    whole = io.BytesIO()
    odm.normalise(document(), whole)
    assert part.path.read_bytes() == whole.getvalue()
    assert (part.study_oid, part.group, part.subjects, part.items, part.first_line) == ("S_JUNO", "", 1, 1, 4)
    assert part.participants == {("ss_1", "b-001")}


def test_each_clinical_data_is_a_part(tmp_path):
    source = document(study(("B-1", 1)) + study(("L-1", 2), oid="S_LEIDEN") + study(("B-2", 1)))
    parts = odm.split(source, tmp_path, max_items=1000)
    assert [(part.study_oid, labels_in(part)) for part in parts] == [
        ("S_JUNO", ["B-1"]),
        ("S_LEIDEN", ["L-1"]),
        ("S_JUNO", ["B-2"]),
    ]


def test_participants_are_gathered_by_site_in_the_order_in_which_sites_appear(tmp_path):
    source = document(study(*((label, 1) for label in ("L-1", "B-1", "X-1", "L-2", "B-2"))))
    parts = odm.split(source, tmp_path, max_items=1000, site_of=site_of)
    assert [(part.group, labels_in(part)) for part in parts] == [
        ("S_LEIDEN", ["L-1", "L-2"]),
        ("S_BOSTON", ["B-1", "B-2"]),
        ("", ["X-1"]),
    ]
    assert [part.path.name for part in parts] == sorted(part.path.name for part in parts)


def test_a_part_is_full_before_it_would_exceed_the_limit_and_cuts_no_participant(tmp_path):
    source = document(study(("B-1", 2), ("B-2", 2), ("B-3", 1), ("B-4", 9), ("B-5", 0), ("B-6", 1)))
    parts = odm.split(source, tmp_path, max_items=4)
    assert [(labels_in(part), part.items) for part in parts] == [
        (["B-1", "B-2"], 4),
        (["B-3"], 1),
        (["B-4"], 9),
        (["B-5", "B-6"], 1),
    ]


def test_only_those_with_an_item_must_be_named_by_the_log_with_or_without_a_value(tmp_path):
    skipped = participant("B-2", 1).replace(' Value="72"', "")
    source = document(f'<ClinicalData StudyOID="S">{participant("B-1", 0)}{skipped}</ClinicalData>')
    (part,) = odm.split(source, tmp_path, max_items=1000)
    assert part.participants == {("ss_b-2", "b-2")}
    assert part.subjects == 2


def test_a_participant_may_have_one_identifier(tmp_path):
    (part,) = odm.split(changed('SubjectKey="SS_1"', ""), tmp_path, max_items=1)
    assert part.participants == {("", "b-001")}


def test_upsert_on_goes_with_each_part(tmp_path):
    source = document(CLINICAL.replace(SUBJECT, f'<UpsertOn NotStarted="true"/>{SUBJECT}{SUBJECT}'))
    parts = odm.split(source, tmp_path, max_items=1)
    assert [part.path.read_text().count('<UpsertOn NotStarted="true"/>') for part in parts] == [1, 1]


def test_clinical_data_without_participants_makes_no_part(tmp_path):
    assert odm.split(document('<ClinicalData StudyOID="S"/>'), tmp_path, max_items=1) == []


@given(
    sizes=st.lists(st.integers(0, 6), min_size=1, max_size=12),
    sites=st.lists(st.sampled_from("BLX"), min_size=12, max_size=12),
    max_items=st.integers(1, 10),
)
@settings(max_examples=40, deadline=None)
def test_the_parts_together_are_the_document(tmp_path_factory, sizes, sites, max_items):
    people = [(f"{site}-{number}", size) for number, (size, site) in enumerate(zip(sizes, sites, strict=False))]
    folder = tmp_path_factory.mktemp("parts")
    parts = odm.split(document(study(*people)), folder, max_items=max_items, site_of=site_of)
    for group in {part.group for part in parts}:
        sent = [label for part in parts if part.group == group for label in labels_in(part)]
        assert sent == [label for label, _ in people if site_of("", "", label) == group]
    assert all(part.items <= max_items or len(labels_in(part)) == 1 or _alone(part, dict(people)) for part in parts)
    assert sum(part.items for part in parts) == sum(sizes)
    for part in parts:
        again = io.BytesIO()
        odm.normalise(part.path, again)
        assert again.getvalue() == part.path.read_bytes()


def _alone(part: odm.Part, sizes: dict[str, int]) -> bool:
    """Tell whether one participant alone accounts for all items of a part that is too large."""
    return max(sizes[label] for label in labels_in(part)) == part.items


def test_the_same_document_gives_the_same_names_and_bytes(tmp_path):
    def contents(folder: Path) -> list[tuple[str, bytes]]:
        folder.mkdir()
        source = document(study(("L-1", 1), ("B-1", 3), ("L-2", 1)))
        parts = odm.split(source, folder, max_items=2, site_of=site_of)
        return [(part.path.name, part.path.read_bytes()) for part in parts]

    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_large_participant_is_not_held_in_memory_and_few_files_are_open(tmp_path):
    import resource
    import tracemalloc

    people = [(f"{'BLX'[number % 3]}{number}", 1) for number in range(200)]
    source = document(study(("B-large", 60_000), *people))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(number.name) for number in Path("/dev/fd").iterdir())  # other tests hold some open
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 30, limit[1]))
    tracemalloc.start()
    try:
        parts = odm.split(source, tmp_path, max_items=1, site_of=lambda _s, _k, label: label)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    assert len(parts) == 201
    assert peak < 12_000_000


def test_a_broken_document_raises_with_its_line(tmp_path):
    with pytest.raises(FileError, match="line 9: a closing tag does not match"):
        odm.split(changed(ITEM, "<ItemData>"), tmp_path, max_items=1)


def test_a_limit_below_one_is_refused(tmp_path):
    with pytest.raises(ConfigurationError):
        odm.split(document(), tmp_path, max_items=0)


def test_an_error_of_the_caller_is_not_taken_for_one_of_the_file(tmp_path):
    def broken(*_: str) -> str:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        odm.split(document(), tmp_path, max_items=1, site_of=broken)


def test_a_survey_counts_without_writing():
    source = document(study(("B-1", 2), ("B-2", 0)) + "\n" + study(("L-1", 1), oid="S_LEIDEN"))
    assert [(each.study_oid, each.subjects, each.items) for each in odm.survey(source)] == [
        ("S_JUNO", 2, 2),
        ("S_LEIDEN", 1, 1),
    ]
