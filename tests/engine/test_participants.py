"""Whom OpenClinica would take a participant ID for."""

from __future__ import annotations

import pytest

from airflow_provider_openclinica.client.bulkcsv import Row
from airflow_provider_openclinica.engine.participants import TakenIds

SITE = ["P-1", "P-2", "Q-1"]
STUDY = ["P-1", "P-2", "Q-1", "q-1", "R-1"]


@pytest.mark.parametrize(
    ("participant_id", "reason"),
    [
        pytest.param("P-1", "", id="one-of-this-site"),
        pytest.param("P-9", "", id="a-new-one"),
        pytest.param("p-2", "letter case", id="another-case-here"),
        pytest.param("r-1", "letter case", id="another-case-elsewhere"),
        pytest.param("R-1", "elsewhere in the study", id="one-of-another-site"),
        pytest.param("Q-1", "letter case", id="one-of-this-site-with-a-double-elsewhere"),
    ],
)
def test_an_id_that_openclinica_takes_for_somebody_else_is_refused(participant_id: str, reason: str) -> None:
    found = TakenIds(SITE, STUDY).reason_against(participant_id)
    assert reason in found
    assert bool(reason) == bool(found)


def test_problems_name_lines_and_no_participant() -> None:
    sent = [Row(line, {"ParticipantID": name}) for line, name in ((2, "P-1"), (3, "p-1"), (5, "R-1"))]
    found = list(TakenIds(SITE, STUDY).problems(sent))
    assert [(problem.line, problem.column) for problem in found] == [(3, "ParticipantID"), (5, "ParticipantID")]
    assert "p-1" not in repr(found)
    assert "R-1" not in repr(found)
