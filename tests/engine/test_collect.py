"""From a job that has ended to its report: what is stored, what is counted, and what is left when it goes wrong."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from airflow_provider_openclinica.engine.collect import (
    NothingSent,
    ParticipantsSent,
    RowsSent,
    collect,
    failed_uri_for,
    log_uri_for,
)
from airflow_provider_openclinica.engine.ticket import JobTicket
from airflow_provider_openclinica.errors import JobFailedError, ServerUnavailableError, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = (
    "SubjectKey,ParticipantID,StudyEventOID,StudyEventRepeatKey,FormOID,ItemGroupOID,ItemGroupRepeatKey,ItemOID,Type,"
    "Status,Timestamp,Message"
)
GOOD = "SS_P001,P-001,SE_VISIT,1,F_VITALS,IG_MAIN,1,I_HR,Item Data,Inserted,2020-10-26T12:00:01.482Z,"
BAD = "SS_P001,P-001,SE_VISIT,1,F_VITALS,IG_MAIN,1,I_SEX,Item Data,FAILED,,errorCode.valueChoiceCodeNotFound"
GONE = ",P-999,,,,,,,Participant,Failed,,errorCode.participantNotFound"
TICKET = JobTicket(
    job_uuid="6c325687",
    job_type="XML_IMPORT",
    study_oid="S_JUNO",
    site_oid="S_NORTH",
    part=1,
    generation=0,
    payload_sha256="ab",
    rows_sent=None,
    unsplit_study=True,
)

NOTHING = NothingSent()


def log_of(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in (HEADER, *lines, "")).encode()


class LocalFiles:
    """The engine's Files over local paths."""

    @contextmanager
    def create(self, uri: str) -> Iterator[BinaryIO]:
        unfinished = Path(f"{uri}.part")
        try:
            with unfinished.open("wb") as file:
                yield file
            unfinished.rename(uri)
        finally:
            unfinished.unlink(missing_ok=True)

    def open(self, uri: str) -> BinaryIO:
        return Path(uri).open("rb")


@dataclass
class StoredLog:
    """A job's file, in small pieces; the connection breaks after some bytes, if it does."""

    path: Path
    break_after: int | None = None
    name: str = "log.csv"

    def chunks(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            while chunk := file.read(7):
                if self.break_after is not None and file.tell() > self.break_after:
                    raise ServerUnavailableError("The connection broke in the middle of the log")
                yield chunk


@dataclass
class Jobs:
    """What a client offers: the logs of jobs. Downloads break as often as told."""

    path: Path
    breaks: list[int] = field(default_factory=list)
    downloads: int = 0

    @contextmanager
    def open_log(self, uuid: str) -> Iterator[StoredLog]:
        assert uuid == TICKET.job_uuid
        self.downloads += 1
        yield StoredLog(self.path, self.breaks.pop(0) if self.breaks else None)


@dataclass
class Client:
    jobs: Jobs


@pytest.fixture
def server(tmp_path) -> Client:
    """A client whose one job has the log ``server.csv``."""
    return Client(Jobs(tmp_path / "server.csv"))


@pytest.fixture
def stored(tmp_path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "log.csv"


def collected(server: Client, log_uri: Path | None, sent: Any = NOTHING, pauses: list[float] | None = None) -> Any:
    sleep = (pauses if pauses is not None else []).append
    return collect(
        server, TICKET, files=LocalFiles(), log_uri=str(log_uri) if log_uri else None, sent=sent, sleep=sleep
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_log_is_stored_as_it_came_hashed_and_counted(server, stored):
    server.jobs.path.write_bytes(log_of(GOOD, GOOD, BAD, GONE))
    report = collected(server, stored)
    assert stored.read_bytes() == server.jobs.path.read_bytes()
    assert report.log_sha256 == hashlib.sha256(stored.read_bytes()).hexdigest()
    assert (report.status, report.outcomes) == ("finished", {"Inserted": 2, "Failed": 2})
    assert (report.rows_sent, report.rows_logged, report.rows_failed) == (None, 4, 2)
    assert report.failed_codes == {"valueChoiceCodeNotFound": 1, "participantNotFound": 1}
    assert (report.job_uuid, report.job_type, report.payload_sha256) == ("6c325687", "XML_IMPORT", "ab")
    assert report.unsplit_study
    assert (report.log_uri, report.lost) == (str(stored), 0)


def test_failed_rows_lie_beside_the_log_as_the_log_has_them(server, stored):
    server.jobs.path.write_bytes(log_of(GOOD, BAD, "SS_P002,P", GONE))
    report = collected(server, stored)
    assert report.failed_uri == str(stored.with_name("log.failed.csv"))
    assert Path(report.failed_uri).read_text() == f"{HEADER}\n{BAD}\nSS_P002,P\n{GONE}\n"
    assert report.outcomes == {"Inserted": 1, "Failed": 2, "Unreadable": 1}
    assert report.rows_failed == 3


def test_without_failed_rows_there_is_no_file_of_them(server, stored):
    server.jobs.path.write_bytes(log_of(GOOD))
    assert collected(server, stored).failed_uri is None
    assert names(stored.parent) == ["log.csv"]


def test_a_log_with_a_header_only_reports_nothing_and_is_no_failure(server, stored):
    server.jobs.path.write_bytes(log_of())
    report = collected(server, stored)
    assert (report.status, report.outcomes, report.rows_logged, report.rows_failed) == ("finished", {}, 0, 0)


def test_without_log_uri_the_log_is_judged_and_not_kept(server, stored):
    server.jobs.path.write_bytes(log_of(GOOD, BAD))
    report = collected(server, None, ParticipantsSent(frozenset({("ss_p404", "")})))
    assert (report.rows_failed, report.lost) == (1, 1)
    assert (report.log_uri, report.failed_uri) == (None, None)
    assert names(stored.parent) == []


@pytest.mark.parametrize(
    ("participant", "lost"),
    [
        pytest.param(("ss_p001", "p-001"), False, id="named-by-both"),
        pytest.param(("ss_p001", ""), False, id="named-by-key"),
        pytest.param(("", "p-001"), False, id="named-by-id"),
        pytest.param(("", "p-999"), False, id="named-in-a-failed-row"),
        pytest.param(("ss_p001", "p-002"), False, id="named-by-key-under-another-id"),
        pytest.param(("ss_p002", "p-002"), True, id="named-by-neither"),
        pytest.param(("ss_p002", ""), True, id="unknown-key"),
        pytest.param(("", "p-002"), True, id="unknown-id"),
        pytest.param(("", ""), False, id="one-without-any-name-cannot-be-looked-for"),
    ],
)
def test_a_participant_whom_no_row_names_is_lost(server, stored, participant, lost):
    server.jobs.path.write_bytes(log_of(GOOD, GONE))
    assert collected(server, stored, ParticipantsSent(frozenset({participant}))).lost == lost


def test_lost_participants_stand_below_the_failed_rows(server, stored):
    server.jobs.path.write_bytes(log_of(GOOD, BAD))
    sent = ParticipantsSent(frozenset({("ss_p001", "p-001"), ("ss_p003", ""), ("ss_p002", "p-002")}))
    report = collected(server, stored, sent)
    assert report.lost == 2
    assert (report.rows_logged, report.rows_failed) == (2, 1)
    lost = ["ss_p002,p-002,,,,,,,,Lost,,", "ss_p003,,,,,,,,,Lost,,"]
    assert stored.with_name("log.failed.csv").read_text().splitlines() == [HEADER, BAD, *lost]


@pytest.mark.parametrize(
    ("logged", "lost"), [(3, []), (2, ["3,,,,Lost,"]), (0, ["1,,,,Lost,", "2,,,,Lost,", "3,,,,Lost,"])]
)
def test_rows_that_were_sent_and_not_logged_are_lost_and_named_by_number(server, stored, logged, lost):
    header = "Row #,ParticipantID,StudyEventOID,StudyEventRepeatKey,Status,Message"
    rows = "".join(f"{number},P-1,SE_VISIT,1,Created,\n" for number in range(1, logged + 1))
    server.jobs.path.write_text(f"{header}\n{rows}\n")
    report = collected(server, stored, RowsSent(3))
    assert (report.rows_logged, report.lost, report.rows_failed) == (logged, len(lost), 0)
    failed = stored.with_name("log.failed.csv")
    assert (failed.read_text().splitlines() if failed.exists() else []) == ([header, *lost] if lost else [])


def test_a_broken_download_is_begun_again_and_counted_once(server, stored):
    server.jobs.path.write_bytes(log_of(GOOD, BAD))
    server.jobs.breaks = [30, 250]
    pauses: list[float] = []
    report = collected(server, stored, pauses=pauses)
    assert (report.rows_logged, report.rows_failed) == (2, 1)
    assert report.log_sha256 == hashlib.sha256(stored.read_bytes()).hexdigest()
    assert stored.with_name("log.failed.csv").read_text() == f"{HEADER}\n{BAD}\n"
    assert names(stored.parent) == ["log.csv", "log.failed.csv"]
    assert (server.jobs.downloads, len(pauses)) == (3, 2)


def test_a_download_that_keeps_breaking_is_given_up_and_leaves_nothing(server, stored):
    server.jobs.path.write_bytes(log_of(BAD, GOOD))
    server.jobs.breaks = [250] * 100
    with pytest.raises(ServerUnavailableError) as caught:
        collected(server, stored)
    assert (caught.value.job, caught.value.study) == ("6c325687", "S_JUNO")
    assert server.jobs.downloads == 4
    assert names(stored.parent) == []


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(b"", JobFailedError, id="empty"),
        pytest.param(b"%PDF-1.4\n", UnexpectedAnswerError, id="no-log"),
        pytest.param(log_of(BAD)[:-2], ServerUnavailableError, id="cut-off"),
    ],
)
def test_what_cannot_be_judged_is_an_error_about_its_job_and_leaves_nothing(server, stored, body, error):
    server.jobs.path.write_bytes(body)
    with pytest.raises(error, match="job 6c325687"):
        collected(server, stored)
    assert names(stored.parent) == []


def test_a_report_holds_counts_and_no_participant(server, stored):
    server.jobs.path.write_bytes(log_of(GOOD, BAD, GONE))
    report = collected(server, stored, ParticipantsSent(frozenset({("ss_p404", "p-404")})))
    text = json.dumps(asdict(report))
    assert not any(who in text for who in ("P001", "P-001", "P-999", "p404", "p-404"))


@pytest.mark.parametrize(
    ("log_uri", "part", "expected"),
    [
        (None, 1, None),
        ("s3://labs/log/", 1, "s3://labs/log/6c32.csv"),
        ("s3://labs/log/", 2, "s3://labs/log/6c32.csv"),
        ("s3://labs/log.csv", 1, "s3://labs/log.csv"),
        ("s3://labs/log.csv", 2, "s3://labs/log.2.csv"),
        ("/data/2026.01/log", 3, "/data/2026.01/log.3"),
        ("/data/log.v1.csv", 12, "/data/log.v1.12.csv"),
    ],
)
def test_a_log_is_named_by_folder_or_by_file(log_uri, part, expected):
    assert log_uri_for(log_uri, "6c32", part) == expected


@pytest.mark.parametrize(
    ("log_uri", "expected"),
    [
        ("s3://labs/log/6c32.csv", "s3://labs/log/6c32.failed.csv"),
        ("/data/log.2.txt", "/data/log.2.failed.csv"),
        ("/data/2026.01/log", "/data/2026.01/log.failed.csv"),
    ],
)
def test_failed_rows_are_named_after_their_log(log_uri, expected):
    assert failed_uri_for(log_uri) == expected
