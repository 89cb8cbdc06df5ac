"""What a try does about what an earlier try has left behind."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.client.jobs import ListedJob
from airflow_provider_openclinica.engine.judge import JobReport
from airflow_provider_openclinica.engine.record import PartRecord, Phase
from airflow_provider_openclinica.engine.submit import (
    Act,
    Decision,
    Seen,
    Sighting,
    Situation,
    TaskKey,
    decide,
    sight,
    tag_of,
    upload_name,
)

NOW, EARLIER = 4, 2  # generations: of this try, and of one before a person cleared the task
OLD_JOB, LISTED_JOB = "6c325687-c3c3-41f6-9b98-154ef3352cb1", "0d6d9a10-96a4-4b8c-9b6a-7a7f6f1f5d55"
SENT, CHANGED = "a" * 64, "b" * 64

UNREADABLE, NOT_THERE = Sighting(Seen.UNREADABLE), Sighting(Seen.NOT_THERE)
RUNNING = Sighting(Seen.RUNNING, LISTED_JOB, NOW)
ENDED, ENDED_EARLIER = Sighting(Seen.ENDED, LISTED_JOB, NOW), Sighting(Seen.ENDED, LISTED_JOB, EARLIER)
FAILED, FAILED_EARLIER = Sighting(Seen.FAILED, LISTED_JOB, NOW), Sighting(Seen.FAILED, LISTED_JOB, EARLIER)
RUNNING_EARLIER = Sighting(Seen.RUNNING, LISTED_JOB, EARLIER)

SUBMIT, AMBIGUOUS, CHANGE = Decision(Act.SUBMIT), Decision(Act.AMBIGUOUS), Decision(Act.CHANGED)
ATTACH_RECORDED, ATTACH_LISTED = Decision(Act.ATTACH, OLD_JOB), Decision(Act.ATTACH, LISTED_JOB)


def record(phase: Phase, generation: int = NOW) -> PartRecord:
    return PartRecord(
        phase=phase,
        generation=generation,
        payload_sha256=SENT,
        job_uuid="" if phase is Phase.SUBMITTING else OLD_JOB,
        report=JobReport(job_uuid=OLD_JOB, job_type="XML_IMPORT", status="finished", payload_sha256=SENT)
        if phase is Phase.JUDGED
        else None,
    )


def situation(known: PartRecord | None, **other: Any) -> Situation:
    usual: dict[str, Any] = {"payload_sha256": SENT, "repeatable": True, "resubmit": False, "nothing_was_sent": False}
    return Situation(record=known, generation=NOW, **usual | other)


RESUBMIT, EVENTS, NOTHING_SENT = {"resubmit": True}, {"repeatable": False}, {"nothing_was_sent": True}
OTHER_FILE = {"payload_sha256": CHANGED}


@pytest.mark.parametrize(
    ("known", "seen", "other", "decision"),
    [
        pytest.param(record(Phase.JUDGED), UNREADABLE, {}, Decision(Act.VERDICT, OLD_JOB), id="judged"),
        pytest.param(record(Phase.JUDGED), UNREADABLE, EVENTS, Decision(Act.VERDICT, OLD_JOB), id="judged-events"),
        pytest.param(record(Phase.JUDGED, EARLIER), UNREADABLE, {}, SUBMIT, id="judged-then-cleared"),
        pytest.param(record(Phase.JUDGED, EARLIER), UNREADABLE, EVENTS, SUBMIT, id="judged-then-cleared-events"),
        pytest.param(record(Phase.SUBMITTED), UNREADABLE, {}, ATTACH_RECORDED, id="submitted"),
        pytest.param(record(Phase.SUBMITTED), UNREADABLE, EVENTS, ATTACH_RECORDED, id="submitted-events"),
        pytest.param(record(Phase.SUBMITTED, EARLIER), UNREADABLE, {}, ATTACH_RECORDED, id="submitted-then-cleared"),
        pytest.param(record(Phase.SUBMITTED), NOT_THERE, {}, ATTACH_RECORDED, id="submitted-and-not-there"),
        pytest.param(
            record(Phase.SUBMITTED, EARLIER), ENDED_EARLIER, {}, ATTACH_RECORDED, id="submitted-ended-then-cleared"
        ),
        pytest.param(
            record(Phase.SUBMITTED, EARLIER),
            NOT_THERE,
            {},
            SUBMIT,
            id="submitted-deleted-cleared",
        ),
        pytest.param(
            record(Phase.SUBMITTED, EARLIER), NOT_THERE, EVENTS, ATTACH_RECORDED, id="submitted-deleted-cleared-events"
        ),
        pytest.param(record(Phase.FAILED), UNREADABLE, {}, SUBMIT, id="failed"),
        pytest.param(record(Phase.FAILED), UNREADABLE, EVENTS, Decision(Act.STOP, OLD_JOB), id="failed-events"),
        pytest.param(record(Phase.FAILED, EARLIER), UNREADABLE, EVENTS, SUBMIT, id="failed-then-cleared-events"),
        pytest.param(record(Phase.SUBMITTING), RUNNING, {}, ATTACH_LISTED, id="submitting-and-running"),
        pytest.param(record(Phase.SUBMITTING), ENDED, {}, ATTACH_LISTED, id="submitting-and-ended"),
        pytest.param(record(Phase.SUBMITTING), ENDED, EVENTS, ATTACH_LISTED, id="submitting-and-ended-events"),
        pytest.param(
            record(Phase.SUBMITTING, EARLIER), ENDED_EARLIER, {}, ATTACH_LISTED, id="submitting-ended-then-cleared"
        ),
        pytest.param(
            record(Phase.SUBMITTING), ENDED_EARLIER, {}, SUBMIT, id="submitting-and-only-the-job-it-was-to-replace"
        ),
        pytest.param(record(Phase.SUBMITTING), FAILED, {}, SUBMIT, id="submitting-and-failed"),
        pytest.param(
            record(Phase.SUBMITTING), FAILED, EVENTS, Decision(Act.STOP, LISTED_JOB), id="submitting-and-failed-events"
        ),
        pytest.param(
            record(Phase.SUBMITTING, EARLIER), FAILED_EARLIER, EVENTS, SUBMIT, id="submitting-failed-cleared-events"
        ),
        pytest.param(record(Phase.SUBMITTING), NOT_THERE, {}, SUBMIT, id="submitting-and-not-there"),
        pytest.param(record(Phase.SUBMITTING), NOT_THERE, EVENTS, SUBMIT, id="submitting-and-not-there-events"),
        pytest.param(record(Phase.SUBMITTING), UNREADABLE, {}, AMBIGUOUS, id="submitting-and-unreadable"),
        pytest.param(
            record(Phase.SUBMITTING), UNREADABLE, NOTHING_SENT, AMBIGUOUS, id="a-record-outweighs-a-first-try"
        ),
        pytest.param(record(Phase.SUBMITTING), UNREADABLE, RESUBMIT, SUBMIT, id="submitting-unreadable-resubmit"),
        pytest.param(None, RUNNING, {}, ATTACH_LISTED, id="none-and-running"),
        pytest.param(None, RUNNING_EARLIER, {}, ATTACH_LISTED, id="none-and-running-since-an-earlier-generation"),
        pytest.param(None, ENDED, {}, ATTACH_LISTED, id="none-and-ended"),
        pytest.param(None, ENDED, NOTHING_SENT, ATTACH_LISTED, id="a-job-outweighs-a-first-try"),
        pytest.param(None, ENDED_EARLIER, {}, SUBMIT, id="none-and-ended-then-cleared"),
        pytest.param(None, ENDED_EARLIER, EVENTS, ATTACH_LISTED, id="none-and-ended-then-cleared-events"),
        pytest.param(None, FAILED, {}, SUBMIT, id="none-and-failed"),
        pytest.param(None, FAILED, EVENTS, Decision(Act.STOP, LISTED_JOB), id="none-and-failed-events"),
        pytest.param(
            None, FAILED_EARLIER, EVENTS, Decision(Act.STOP, LISTED_JOB), id="none-and-failed-then-cleared-events"
        ),
        pytest.param(None, NOT_THERE, {}, SUBMIT, id="none-and-not-there"),
        pytest.param(None, UNREADABLE, NOTHING_SENT, SUBMIT, id="none-and-unreadable-but-nothing-was-sent"),
        pytest.param(None, UNREADABLE, {}, AMBIGUOUS, id="none-and-unreadable"),
        pytest.param(None, UNREADABLE, EVENTS, AMBIGUOUS, id="none-and-unreadable-events"),
        pytest.param(None, UNREADABLE, RESUBMIT, SUBMIT, id="none-unreadable-resubmit"),
        pytest.param(record(Phase.SUBMITTING), RUNNING, OTHER_FILE, CHANGE, id="submitting-and-the-file-changed"),
        pytest.param(record(Phase.SUBMITTED), UNREADABLE, OTHER_FILE, CHANGE, id="submitted-and-the-file-changed"),
        pytest.param(record(Phase.FAILED), UNREADABLE, OTHER_FILE, CHANGE, id="failed-and-the-file-changed"),
        pytest.param(record(Phase.JUDGED), UNREADABLE, OTHER_FILE, CHANGE, id="judged-and-the-file-changed"),
        pytest.param(
            record(Phase.SUBMITTED, EARLIER), UNREADABLE, OTHER_FILE, SUBMIT, id="submitted-cleared-and-changed"
        ),
        pytest.param(record(Phase.JUDGED, EARLIER), UNREADABLE, OTHER_FILE, SUBMIT, id="judged-cleared-and-changed"),
    ],
)
def test_what_to_do_follows_from_record_and_job_list(
    known: PartRecord | None, seen: Sighting, other: dict[str, Any], decision: Decision
) -> None:
    assert_same_act(decide(situation(known, **other), seen), decision)


def assert_same_act(got: Decision, wanted: Decision) -> None:
    assert got.act is wanted.act
    if got.act in (Act.ATTACH, Act.STOP):
        assert got.job_uuid == wanted.job_uuid


@pytest.mark.parametrize(
    ("known", "needed"),
    [(None, True)] + [(record(phase), phase is Phase.SUBMITTING) for phase in Phase],
    ids=["none", *Phase],
)
def test_the_job_list_is_asked_only_where_the_record_does_not_settle_it(known: PartRecord | None, needed: bool) -> None:
    assert situation(known).needs_the_list is needed


def listed(name: str, uuid: str = LISTED_JOB, status: str = "COMPLETED", minutes: int = 0) -> ListedJob:
    return ListedJob(
        uuid=uuid,
        status=status,
        type="XML_IMPORT",
        source_file_name=name,
        date_created=datetime(2026, 1, 5, 4, tzinfo=UTC) + timedelta(minutes=minutes),
        site_oid="",
        study_oid="S_JUNO",
    )


TASK = TaskKey(dag_id="labs", run_id="scheduled__2026-01-05T04:00:00+00:00", task_id="import")
TAG = tag_of(TASK, 1, SENT)


@pytest.mark.parametrize(
    ("jobs", "sighting"),
    [
        pytest.param(None, UNREADABLE, id="no-list"),
        pytest.param([], NOT_THERE, id="an-empty-list"),
        pytest.param([listed("labs.xml"), listed(f"labs.{TAG[:-1]}-g4.xml")], NOT_THERE, id="other-files"),
        pytest.param([listed(f"labs.{TAG}-g4.xml")], ENDED, id="completed"),
        pytest.param([listed(f"labs.{TAG}-g2.xml")], ENDED_EARLIER, id="completed-in-an-earlier-generation"),
        pytest.param([listed(f"labs.{TAG}-g4.xml", status="FAILED")], FAILED, id="failed"),
        pytest.param([listed(f"labs.{TAG}-g4.xml", status="IN_PROGRESS")], RUNNING, id="running"),
        pytest.param([listed(f"labs.{TAG}-g4.xml", status="PAUSED")], RUNNING, id="a-status-we-have-never-seen"),
        pytest.param(
            [
                listed(f"labs.{TAG}-g2.xml", minutes=1, uuid=OLD_JOB),
                listed(f"labs.{TAG}-g4.xml", minutes=9),
                listed(f"labs.{TAG}-g4.xml", minutes=5, uuid=OLD_JOB, status="FAILED"),
            ],
            ENDED,
            id="the-newest-of-several",
        ),
    ],
)
def test_a_job_is_found_by_the_tag_in_the_name_of_its_file(jobs: list[ListedJob] | None, sighting: Sighting) -> None:
    assert sight(jobs, TAG) == sighting


@given(
    stem=st.text(max_size=400),
    generation=st.integers(0, 10_000),
    suffix=st.sampled_from([".xml", ".csv"]),
)
def test_any_file_name_becomes_one_that_the_server_keeps_whole(stem: str, generation: int, suffix: str) -> None:
    name = upload_name(stem, TAG, generation, suffix)

    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name)
    assert len(name) <= 255
    assert name.endswith(f".{TAG}-g{generation}{suffix}")
    assert sight([listed(name)], TAG) == Sighting(Seen.ENDED, LISTED_JOB, generation)


def test_a_tag_differs_with_everything_that_makes_it_another_submission() -> None:
    other_tasks = [
        TaskKey(dag_id="x", run_id=TASK.run_id, task_id=TASK.task_id),
        TaskKey(dag_id=TASK.dag_id, run_id="x", task_id=TASK.task_id),
        TaskKey(dag_id=TASK.dag_id, run_id=TASK.run_id, task_id="x"),
        TaskKey(dag_id=TASK.dag_id, run_id=TASK.run_id, task_id=TASK.task_id, map_index=3),
    ]
    tags = [tag_of(task, 1, SENT) for task in other_tasks] + [tag_of(TASK, 2, SENT), tag_of(TASK, 1, CHANGED), TAG]

    assert len(set(tags)) == len(tags)
    assert re.fullmatch(r"af-[0-9a-f]{32}", TAG)
