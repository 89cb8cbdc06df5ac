"""Wait until a participant, an event or a form has reached a status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.engine.statuses import EVENT, FORM, PARTICIPANT, StatusQuestion, wanted_statuses
from airflow_provider_openclinica.operators.arguments import event_oid_of, oid, participant_id_of, repeat_key_of
from airflow_provider_openclinica.sensors.polling import PollingSensor
from airflow_provider_openclinica.triggers.clinicaldata import OpenClinicaStatusTrigger

if TYPE_CHECKING:
    from collections.abc import Sequence


class OpenClinicaParticipantStatusSensor(PollingSensor):
    """Wait until a participant has a status: ``available``, ``signed`` or ``removed``.

    It reads the participant list of the site, or of the study where no site is given. A participant who is not in it
    fails the task at once: nobody waits for a mistyped ID.

    :param study_oid: OID of the study. Templated.
    :param participant_id: the participant's ID, in the same letter case as in OpenClinica. Templated.
    :param status: the status, or several of which any will do; letter case, blanks, hyphens and underscores do not
        matter. Templated.
    :param site_oid: OID of the participant's site; needed by accounts with a role at a site only. Templated.
    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    :param deferrable: wait in the triggerer. Default: Airflow's ``[operators] default_deferrable``.
    :param kwargs: what all sensors take: ``poke_interval``, ``timeout``, ``mode``, ``soft_fail``, …
    """

    template_fields: Sequence[str] = ("study_oid", "site_oid", "participant_id", "status", "openclinica_conn_id")
    trigger_class = OpenClinicaStatusTrigger

    def __init__(
        self,
        *,
        study_oid: str,
        participant_id: str,
        status: str | Sequence[str],
        site_oid: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.study_oid = study_oid
        self.site_oid = site_oid
        self.participant_id = participant_id
        self.status = status

    def question(self) -> StatusQuestion:
        """Ask for the participant's status."""
        return StatusQuestion(**self._place(), wanted=wanted_statuses(self.status, of=PARTICIPANT))

    def _place(self) -> dict[str, Any]:
        return {
            "study_oid": oid(self.study_oid, "study_oid"),
            "site_oid": self.site_oid or None,
            "participant_id": participant_id_of(self.participant_id),
        }


class OpenClinicaEventStatusSensor(OpenClinicaParticipantStatusSensor):
    """Wait until an event of a participant has a status.

    There is ``not scheduled``, ``scheduled``, ``data entry started``, ``completed``, ``skipped``, ``stopped``,
    ``locked``, ``signed``, ``removed`` and ``archived``. A completed event that is signed or locked afterwards is still
    completed; one that is removed is nothing else. It reads that event only. An event that is not scheduled yet is
    waited for, and so is one that the study does not have: OpenClinica answers about both alike. The return value is
    the status that was reached.

    :param study_oid: OID of the study; letter case matters. Templated.
    :param participant_id: the participant's ID, in the same letter case as in OpenClinica. Templated.
    :param study_event_oid: OID of the event. Templated.
    :param status: the status, or several of which any will do; letter case, blanks, hyphens and underscores do not
        matter. Templated.
    :param study_event_repeat_key: which occurrence of a repeating event, from 1. Templated.
    :param site_oid: OID of the participant's site; needed by accounts with a role at a site only. Templated.
    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    :param deferrable: wait in the triggerer. Default: Airflow's ``[operators] default_deferrable``.
    :param kwargs: what all sensors take: ``poke_interval``, ``timeout``, ``mode``, ``soft_fail``, …
    """

    template_fields: Sequence[str] = (
        *OpenClinicaParticipantStatusSensor.template_fields,
        "study_event_oid",
        "study_event_repeat_key",
    )

    def __init__(self, *, study_event_oid: str, study_event_repeat_key: str | int = "1", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.study_event_oid = study_event_oid
        self.study_event_repeat_key = study_event_repeat_key

    def question(self) -> StatusQuestion:
        """Ask for the event's status."""
        return StatusQuestion(**self._place(), wanted=wanted_statuses(self.status, of=EVENT))

    def _place(self) -> dict[str, Any]:
        return super()._place() | {
            "study_event_oid": event_oid_of(self.study_event_oid),
            "study_event_repeat_key": repeat_key_of(self.study_event_repeat_key),
        }


class OpenClinicaFormStatusSensor(OpenClinicaEventStatusSensor):
    """Wait until a form of a participant has a status.

    There is ``not started``, ``initial data entry``, ``data entry complete`` (``complete`` for short), ``locked``,
    ``verified``, ``not verified`` and ``changed since verified`` (these three tell of source data verification),
    ``removed`` and ``archived``. A locked form is not called complete; where that is meant as well, wait for either. It
    reads the form's event only. A form that nobody has begun is waited for, and so is one that the event does not have,
    or that the account may not see. The return value is the status that was reached.

    :param study_oid: OID of the study; letter case matters. Templated.
    :param participant_id: the participant's ID, in the same letter case as in OpenClinica. Templated.
    :param study_event_oid: OID of the event. Templated.
    :param form_oid: OID of the form, such as ``F_VITALS``, whichever version holds the data. Templated.
    :param status: the status, or several of which any will do; letter case, blanks, hyphens and underscores do not
        matter. Templated.
    :param study_event_repeat_key: which occurrence of a repeating event, from 1. Templated.
    :param site_oid: OID of the participant's site; needed by accounts with a role at a site only. Templated.
    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    :param deferrable: wait in the triggerer. Default: Airflow's ``[operators] default_deferrable``.
    :param kwargs: what all sensors take: ``poke_interval``, ``timeout``, ``mode``, ``soft_fail``, …
    """

    template_fields: Sequence[str] = (*OpenClinicaEventStatusSensor.template_fields, "form_oid")

    def __init__(self, *, form_oid: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.form_oid = form_oid

    def question(self) -> StatusQuestion:
        """Ask for the form's status."""
        form_oid = oid(self.form_oid, "form_oid")
        return StatusQuestion(**self._place(), form_oid=form_oid, wanted=wanted_statuses(self.status, of=FORM))
