"""What survives from one try to the next."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_openclinica.engine.judge import JobReport
from airflow_provider_openclinica.engine.record import PartRecord, Phase, Record
from airflow_provider_openclinica.engine.ticket import JobTicket
from airflow_provider_openclinica.errors import ConfigurationError
from tests.stores import DictStore

UUID = "6c325687-c3c3-41f6-9b98-154ef3352cb1"
REPORT = JobReport(
    job_uuid=UUID,
    job_type="XML_IMPORT",
    status="finished",
    outcomes={"Inserted": 3, "Failed": 1},
    rows_logged=4,
    rows_failed=1,
    failed_codes={"itemNotFound": 1},
    log_uri="s3://labs/log.csv",
    log_sha256="c" * 64,
    payload_sha256="a" * 64,
)


@pytest.mark.parametrize(
    "part",
    [
        PartRecord(phase=Phase.SUBMITTING, generation=1, payload_sha256="a" * 64),
        PartRecord(phase=Phase.SUBMITTED, generation=1, payload_sha256="a" * 64, job_uuid=UUID),
        PartRecord(phase=Phase.FAILED, generation=0, payload_sha256="a" * 64, job_uuid=UUID),
        PartRecord(phase=Phase.JUDGED, generation=2, payload_sha256="a" * 64, job_uuid=UUID, report=REPORT),
    ],
    ids=lambda part: part.phase,
)
def test_a_record_reads_back_as_it_was_written(part: PartRecord) -> None:
    store = DictStore()

    Record(store).write(7, part)

    assert Record(store).part(7) == part
    assert Record(store).part(8) is None


@pytest.mark.parametrize(
    "kept",
    [
        "6c325687",
        {},
        {"phase": "sent", "generation": 1, "payload_sha256": "", "job_uuid": "", "report": None},
        {"phase": "submitted", "generation": 1, "payload_sha256": "", "job_uuid": "", "report": None},
        {"phase": "judged", "generation": 1, "payload_sha256": "", "job_uuid": UUID, "report": None},
        {"phase": "judged", "generation": 1, "payload_sha256": "", "job_uuid": UUID, "report": {"rows": 1}},
        {"phase": "submitting", "generation": "many", "payload_sha256": "", "job_uuid": "", "report": None},
    ],
    ids=["no-dict", "empty", "phase", "no-uuid", "no-report", "report", "generation"],
)
def test_a_record_that_somebody_else_wrote_stops_the_task(kept: Any) -> None:
    store = DictStore()
    store.set("openclinica_part_1", kept)

    with pytest.raises(ConfigurationError, match="did not write"):
        Record(store).part(1)


def test_a_record_can_be_forgotten() -> None:
    store = DictStore()
    record = Record(store)
    record.write(1, PartRecord(phase=Phase.SUBMITTING, generation=1, payload_sha256="a"))

    record.write(1, None)

    assert record.part(1) is None
    assert store.kept == {}


def test_a_failed_job_is_written_down_from_its_ticket() -> None:
    record = Record(DictStore())
    ticket = JobTicket(
        job_uuid=UUID,
        job_type="XML_IMPORT",
        study_oid="S_JUNO",
        site_oid=None,
        part=3,
        generation=5,
        payload_sha256="a" * 64,
        rows_sent=None,
    )

    record.write_failure(ticket)

    assert record.part(3) == PartRecord(phase=Phase.FAILED, generation=5, payload_sha256="a" * 64, job_uuid=UUID)


def test_without_a_store_nothing_is_known_and_nothing_fails() -> None:
    record = Record(None)

    record.write(1, PartRecord(phase=Phase.SUBMITTING, generation=1, payload_sha256="a"))
    record.keep_plan(1, {"source_sha256": "a"})

    assert record.part(1) is None
    assert record.plan(1) is None
    assert not record.is_whole


def test_a_plan_holds_for_its_own_generation() -> None:
    record = Record(DictStore())

    record.keep_plan(2, {"source_sha256": "a"})

    assert record.plan(2) == {"source_sha256": "a"}
    assert record.plan(3) is None


@pytest.mark.parametrize("is_whole", [True, False])
def test_silence_means_something_only_in_a_store_that_nothing_can_have_emptied(is_whole: bool) -> None:
    assert Record(DictStore(), is_whole=is_whole).is_whole is is_whole
