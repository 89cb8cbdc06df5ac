"""The log of an import, byte by byte (docs/protocol.md, logs)."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.joblog import Place, Row, write_import_log

ITEM = Place("SS_A", "A-1", "SE_A", "1", "F_A", "IG_A", "1", "I_A")
MOMENT = datetime(2020, 10, 26, 12, 0, 1, 482_999, tzinfo=UTC)
ROWS = [
    Row(ITEM, "Item Data", "Inserted", timestamp=MOMENT),
    Row(Place("SS_A", "A-1", "SE_B"), "Study Event", "Failed", "errorCode.invalidStudyEventOID"),
]


def test_the_source_writes_12_columns_and_a_blank_line():
    assert write_import_log(ROWS, Dialect.SOURCE).decode() == (
        "SubjectKey,ParticipantID,StudyEventOID,StudyEventRepeatKey,FormOID,ItemGroupOID,ItemGroupRepeatKey,ItemOID,"
        "Type,Status,Timestamp,Message\n"
        "SS_A,A-1,SE_A,1,F_A,IG_A,1,I_A,Item Data,Inserted,2020-10-26T12:00:01.482Z,\n"
        "SS_A,A-1,SE_B,,,,,,Study Event,Failed,,errorCode.invalidStudyEventOID\n"
        "\n"
    )


def test_the_documents_show_11_columns():
    assert write_import_log(ROWS, Dialect.DOCS).decode() == (
        "SubjectKey,ParticipantID,StudyEventOID,StudyEventRepeatKey,FormOID,ItemGroupOID,ItemGroupRepeatKey,ItemOID,"
        "Status,Timestamp,Message\n"
        "SS_A,A-1,SE_A,1,F_A,IG_A,1,I_A,Inserted,2020-10-26T12:00:01.482Z,\n"
        "SS_A,A-1,SE_B,,,,,,Failed,,errorCode.invalidStudyEventOID\n"
        "\n"
    )


def test_nothing_is_quoted():
    row = Row(Place("SS_A", 'A,"1"'), "Signature", "Failed", "no, not this")
    assert write_import_log([row], Dialect.DOCS).endswith(b'\nSS_A,A,"1",,,,,,,Failed,,no, not this\n\n')


def test_a_log_without_rows_is_a_header():
    assert write_import_log([], Dialect.SOURCE).endswith(b"Message\n\n")
