"""Add to OpenClinica 4 who has enrolled in ClinOne.

ClinOne publishes no path of its API, and of its fields ``studyIdentifier`` and ``siteIdentifier`` only: so the path to
ask, and the field that holds a participant's ID, are parameters. Take both from the reference that ClinOne gave you.
The reply is expected to be an object, or a list of them, with these three fields; the rest of it leaves no task.

Needs the connections ``openclinica_default`` and ``clinone_default``, which has ``identifiers`` in its extra. A run may
be repeated: OpenClinica takes a participant who is there as an update. To try it on this machine, start the sandbox,
plan a reply,

    curl -X POST localhost:8090/sandbox/clinone -H 'Content-Type: application/json' -d '{"path": "/what/you/ask",
      "json": [{"id": "BOS-901", "studyIdentifier": "JUNO", "siteIdentifier": "001"}]}'

and run

    airflow dags test openclinica_from_clinone -c '{"path": "/what/you/ask", "participant_field": "id"}'
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, get_current_context

from airflow_provider_openclinica.hooks.clinone import ClinOneHook
from airflow_provider_openclinica.operators.clinone import ClinOneOperator
from airflow_provider_openclinica.operators.participants import OpenClinicaParticipantOperator


def placed(reply: Any) -> list[dict[str, str]]:
    """Pick the IDs, and say in OpenClinica's words where each belongs. This is all that goes to XCom."""
    known, field = ClinOneHook().identifiers(), get_current_context()["params"]["participant_field"]
    return [
        {
            "study_oid": known.study_oid(person["studyIdentifier"]),
            "site_oid": known.site_oid(person["siteIdentifier"]),
            "participant_id": person[field],
        }
        for person in (reply if isinstance(reply, list) else [reply])
    ]


with DAG(
    dag_id="openclinica_from_clinone",
    description="Who has enrolled in ClinOne, into OpenClinica",
    schedule=None,  # "@hourly"
    catchup=False,
    max_active_runs=1,
    params={
        "path": Param("/what/you/ask", type="string", description="Of the ClinOne API; GET"),
        "participant_field": Param("id", type="string", description="Which field of the reply is the participant's ID"),
    },
    tags=["openclinica", "clinone"],
) as dag:
    enrolled = ClinOneOperator(
        task_id="ask_clinone",
        method="GET",
        path="{{ params.path }}",
        result=placed,
        retries=2,
        retry_delay=timedelta(minutes=5),
    )

    OpenClinicaParticipantOperator.partial(
        task_id="add_participant",
        retries=2,
        retry_delay=timedelta(minutes=5),
    ).expand_kwargs(enrolled.output)
