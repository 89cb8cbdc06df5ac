"""Wait for something in OpenClinica 3: a participant, an event, or a sign of life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.engine.openclinica3.questions import EVENT, PARTICIPANT, AliveQuestion, Question3
from airflow_provider_openclinica.engine.statuses import wanted_statuses
from airflow_provider_openclinica.hooks.openclinica3 import OpenClinica3Hook
from airflow_provider_openclinica.operators.arguments import event_oid_of, oid, participant_id_of, repeat_key_of
from airflow_provider_openclinica.sensors.polling import PollingSensor
from airflow_provider_openclinica.triggers.openclinica3 import OpenClinica3AliveTrigger, OpenClinica3StatusTrigger

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Sensor3(PollingSensor):
    """What all sensors of OpenClinica 3 have in common."""

    template_fields: Sequence[str] = ("openclinica_conn_id",)
    hook_class = OpenClinica3Hook

    def __init__(self, *, openclinica_conn_id: str = OpenClinica3Hook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(openclinica_conn_id=openclinica_conn_id, **kwargs)


class OpenClinica3ParticipantSensor(_Sensor3):
    """Wait until a participant is there, or has a status: ``available``, ``signed``, ``locked`` or ``removed``.

    Whether somebody is there is asked by SOAP. For a status, all of the participant's data are read, within a session
    that is ended at once; another task's session on this host is waited for. The return value is the status, or
    ``there``.

    :param study_oid: OID of the study. Templated.
    :param participant_id: the participant's ID, letter for letter. Templated.
    :param status: the status, or several of which any will do; None: being there is enough. Templated.
    :param site_oid: OID of the participant's site; needed by accounts with a role at a site only. Templated.
    :param openclinica_conn_id: connection of type ``openclinica3``. Templated.
    :param deferrable: wait in the triggerer. Default: Airflow's ``[operators] default_deferrable``.
    :param kwargs: what all sensors take: ``poke_interval``, ``timeout``, ``mode``, ``soft_fail``, …
    """

    template_fields: Sequence[str] = ("study_oid", "site_oid", "participant_id", "status", *_Sensor3.template_fields)
    trigger_class = OpenClinica3StatusTrigger

    def __init__(
        self,
        *,
        study_oid: str,
        participant_id: str,
        status: str | Sequence[str] | None = None,
        site_oid: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.study_oid = study_oid
        self.site_oid = site_oid
        self.participant_id = participant_id
        self.status = status

    def question(self) -> Question3:
        """Ask for the participant."""
        wanted = [] if self.status is None else wanted_statuses(self.status, of=PARTICIPANT)
        return Question3(**self._place(), wanted=wanted)

    def _place(self) -> dict[str, Any]:
        return {
            "study_oid": oid(self.study_oid, "study_oid"),
            "site_oid": self.site_oid or None,
            "participant_id": participant_id_of(self.participant_id),
        }


class OpenClinica3EventSensor(OpenClinica3ParticipantSensor):
    """Wait until an event of a participant has a status.

    There is ``not scheduled``, ``scheduled``, ``data entry started``, ``completed``, ``skipped``, ``stopped``,
    ``signed`` and ``locked``, one at a time. An event that was removed looks like any other: OpenClinica 3 exports it
    unmarked. A participant who is not there yet is waited for, and so is an event. The return value is the status.

    :param study_oid: OID of the study. Templated.
    :param participant_id: the participant's ID, letter for letter. Templated.
    :param study_event_oid: OID of the event, letter for letter. Templated.
    :param status: the status, or several of which any will do. Templated.
    :param study_event_repeat_key: which occurrence of a repeating event, from 1. Templated.
    :param site_oid: OID of the participant's site; needed by accounts with a role at a site only. Templated.
    :param openclinica_conn_id: connection of type ``openclinica3``. Templated.
    :param deferrable: wait in the triggerer. Default: Airflow's ``[operators] default_deferrable``.
    :param kwargs: what all sensors take: ``poke_interval``, ``timeout``, ``mode``, ``soft_fail``, …
    """

    template_fields: Sequence[str] = (
        *OpenClinica3ParticipantSensor.template_fields,
        "study_event_oid",
        "study_event_repeat_key",
    )

    def __init__(
        self,
        *,
        study_event_oid: str,
        status: str | Sequence[str],
        study_event_repeat_key: str | int = "1",
        **kwargs: Any,
    ) -> None:
        super().__init__(status=status, **kwargs)
        self.study_event_oid = study_event_oid
        self.study_event_repeat_key = study_event_repeat_key

    def question(self) -> Question3:
        """Ask for the event's status."""
        return Question3(
            **self._place(),
            wanted=wanted_statuses(self.status, of=EVENT),
            study_event_oid=event_oid_of(self.study_event_oid),
            study_event_repeat_key=repeat_key_of(self.study_event_repeat_key),
        )


class OpenClinica3AliveSensor(_Sensor3):
    """Wait until the web application answers. It asks for no account, and says nothing of the database.

    :param openclinica_conn_id: connection of type ``openclinica3``. Templated.
    :param deferrable: wait in the triggerer. Default: Airflow's ``[operators] default_deferrable``.
    :param kwargs: what all sensors take: ``poke_interval``, ``timeout``, ``mode``, ``soft_fail``, …
    """

    trigger_class = OpenClinica3AliveTrigger

    def question(self) -> AliveQuestion:
        """Ask for a sign of life."""
        return AliveQuestion()
