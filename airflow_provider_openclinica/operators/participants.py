"""Participants: add or update them, one or many; list them; fetch their contact data and their casebooks."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.client.bulkcsv import SAFE_CHARACTERS, rows
from airflow_provider_openclinica.client.participant_data import check_id, participants_layout, read_contact
from airflow_provider_openclinica.engine.bulk import BulkRequest, FileSource, QuerySource, prepare
from airflow_provider_openclinica.engine.participants import read_taken_ids
from airflow_provider_openclinica.engine.refusal import refuse
from airflow_provider_openclinica.errors import ConfigurationError, UnexpectedAnswerError
from airflow_provider_openclinica.hooks.storage import ObjectStorage
from airflow_provider_openclinica.operators.arguments import file_address, oid
from airflow_provider_openclinica.operators.base import OpenClinicaStudyOperator
from airflow_provider_openclinica.operators.bulk import OpenClinicaBulkOperator
from airflow_provider_openclinica.operators.casebooks import OpenClinicaCasebookOperator
from airflow_provider_openclinica.operators.contacts import OpenClinicaExtractContactsOperator
from airflow_provider_openclinica.operators.failures import airflow_failures
from airflow_provider_openclinica.operators.queries import open_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_openclinica.client.bulkcsv import Problem
    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.client.participants import ListedParticipant
    from airflow_provider_openclinica.client.uploads import Upload
    from airflow_provider_openclinica.engine.bulk import Source
    from airflow_provider_openclinica.engine.run import Prepared

__all__ = [
    "OpenClinicaBulkParticipantsOperator",
    "OpenClinicaCasebookOperator",
    "OpenClinicaExtractContactsOperator",
    "OpenClinicaListParticipantsOperator",
    "OpenClinicaParticipantOperator",
    "site_and_participant",
]

JOB_TYPE = "BULK_ADD_PARTICIPANTS"  #: as the job list names it
CONTACT_BYTES = 64 << 10
_COLUMN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class OpenClinicaBulkParticipantsOperator(OpenClinicaBulkOperator):
    """Add or update the participants of a site, from a CSV file or a query, and wait for the outcome of each row.

    Safe to retry: OpenClinica updates a participant who is there, so ``on_ambiguous_submit="resubmit"`` does no harm
    here. All rows are checked before anything is sent, and what is wrong with them is told in one message, by line and
    column and without a value. Then OpenClinica is asked who is in the study, and an ID that it would take for somebody
    else's is refused. Rows go in files of at most 8,192 characters, one job each, since OpenClinica reads longer ones
    by chance: docs/protocol.md, bulk files.

    Names, e-mail addresses and phone numbers go from the file or the database to OpenClinica: they are in no log, no
    XCom and no rendered template.

    :param study_oid: the study. Templated.
    :param site_oid: the site that the participants are at. Templated.
    :param csv_uri: CSV in UTF-8 with a header; a local path, or any URI that Airflow's ``ObjectStoragePath`` opens.
        Columns, in any order and letter case: ``ParticipantID``, and any of ``FirstName``, ``LastName``,
        ``EmailAddress``, ``MobileNumber`` (or ``phoneNumber``) and ``identifier``. An empty cell leaves what
        OpenClinica has. Templated.
    :param sql: instead of ``csv_uri``, a query whose columns are named so, or a file of it ending in ``.sql``. It is
        run again in each try, and after the task was deferred: give it an ``ORDER BY``, and let it find the same rows
        until the task is over. It is shown as a rendered template, so write no personal data into it. Templated.
    :param sql_conn_id: the connection of its database. Templated.
    :param register: register them for OpenClinica Participate, whose module must be active.
    :param phone_column: what this server calls the column of the phone number: ``MobileNumber``, or ``phoneNumber`` as
        documented. A column by another name is ignored without a word, so look one number up in OpenClinica once.
    :param max_characters: size of each file; more than 8,192 is for servers known to take it.
    :param kwargs: what all bulk operators take; see ``OpenClinicaBulkOperator``.
    """

    template_fields: Sequence[str] = (
        "study_oid",
        "site_oid",
        "csv_uri",
        "sql",
        "sql_conn_id",
        *OpenClinicaBulkOperator.template_fields,
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"sql": "sql"}  # noqa: RUF012  # as BaseOperator declares it

    def __init__(
        self,
        *,
        study_oid: str,
        site_oid: str,
        csv_uri: str | None = None,
        sql: str | None = None,
        sql_conn_id: str | None = None,
        register: bool = False,
        phone_column: str = "MobileNumber",
        max_characters: int = SAFE_CHARACTERS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (csv_uri is None) == (sql is None) or (sql is None) != (sql_conn_id is None):
            raise ConfigurationError("Rows come from csv_uri, or from sql together with sql_conn_id, and from one only")
        if not _COLUMN_NAME.fullmatch(phone_column):
            raise ConfigurationError("phone_column is not the name of a column")
        if max_characters < 1:
            raise ConfigurationError("max_characters is not 1 or more")
        self.study_oid, self.site_oid = study_oid, site_oid
        self.csv_uri, self.sql, self.sql_conn_id = csv_uri, sql, sql_conn_id
        self.register = register
        self.phone_column = phone_column
        self.max_characters = max_characters

    def prepare(self, folder: Path, plan: Mapping[str, Any] | None) -> Prepared:
        """Check the rows here, then their IDs against those that the study has, and cut them into files."""
        study_oid, site_oid = oid(self.study_oid, "study_oid"), oid(self.site_oid, "site_oid")
        layout = participants_layout(self.phone_column)

        def send(client: OpenClinicaClient, csv: Upload) -> str:
            return client.participants.add_bulk(csv, study_oid=study_oid, site_oid=site_oid, register=self.register)

        def ask(checked: Path) -> Iterable[Problem]:
            return read_taken_ids(self.client, study_oid, site_oid).problems(rows(checked, layout))

        request = BulkRequest(
            source=self._source(),
            layout=layout,
            job_type=JOB_TYPE,
            study_oid=study_oid,
            site_oid=site_oid,
            send=send,
            ask=ask,
            max_characters=self.max_characters,
        )
        return prepare(request, folder, plan)

    def _source(self) -> Source:
        if self.sql is None:
            return FileSource(file_address(self.csv_uri, "csv_uri"), self.files)
        if not self.sql or not self.sql_conn_id:
            raise ConfigurationError("sql or sql_conn_id is empty, once it is rendered")
        return QuerySource(partial(open_query, self.sql_conn_id, self.sql), stem="participants")


class OpenClinicaParticipantOperator(OpenClinicaStudyOperator):
    """Add a participant to a site, or update the contact data of one who is there. Safe to retry.

    An ID that differs from an existing one only in letter case, or that another site has, is refused: OpenClinica would
    update that participant (docs/protocol.md, participants).

    Returns ``participant_id``, ``participant_oid``, ``status`` and ``participate_status``; whether the participant is
    new, OpenClinica does not say.

    :param study_oid: the study. Templated.
    :param site_oid: the site. ``None`` adds to the study itself, where the server offers that. Templated.
    :param participant_id: the ID, at most 30 characters. Templated.
    :param contact_uri: a JSON object with any of ``firstName``, ``lastName``, ``emailAddress``, ``phoneNumber`` and
        ``identifier``; ``""`` clears what OpenClinica has, a missing name leaves it. ``None`` sends no contact data.
        They are in no log, no XCom and no rendered template. Templated.
    :param register: register the participant for OpenClinica Participate, whose module must be active.
    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    """

    template_fields: Sequence[str] = ("participant_id", "contact_uri", *OpenClinicaStudyOperator.template_fields)

    def __init__(
        self,
        *,
        study_oid: str,
        site_oid: str | None,
        participant_id: str,
        contact_uri: str | None = None,
        register: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(study_oid=study_oid, site_oid=site_oid, **kwargs)
        self.participant_id = participant_id
        self.contact_uri = contact_uri
        self.register = register

    def execute(self, context: Context) -> dict[str, str]:  # noqa: ARG002 - Airflow's signature
        """Check everything here, ask who is there, and send the participant."""
        with airflow_failures():
            study_oid, site_oid = oid(self.study_oid, "study_oid"), self.site_oid or None
            participant_id = oid(self.participant_id, "participant_id")
            _refuse_id(check_id(participant_id))
            contact, client = self._contact(), self.client
            _refuse_id(read_taken_ids(client, study_oid, site_oid).reason_against(participant_id))
            added = client.participants.add(
                participant_id, contact, study_oid=study_oid, site_oid=site_oid, register=self.register
            )
            if added.participant_id != participant_id:
                raise UnexpectedAnswerError(
                    "OpenClinica stored the participant under another ID than the one sent",
                    study=study_oid,
                    site=site_oid or "",
                    next_step="Look up in OpenClinica who was changed: somebody may have been added meanwhile whose ID "
                    "differs in letter case, or the study makes IDs itself.",
                )
            return {
                "participant_id": added.participant_id,
                "participant_oid": added.oid,
                "status": added.status,
                "participate_status": added.participate_status,
            }

    def _contact(self) -> dict[str, str]:
        if self.contact_uri is None:
            return {}
        uri = file_address(self.contact_uri, "contact_uri")
        with ObjectStorage().open(uri) as stream:
            contact, problems = read_contact(stream.read(CONTACT_BYTES))
        refuse(uri, problems)
        return contact


class OpenClinicaListParticipantsOperator(OpenClinicaStudyOperator):
    """List the participants of a study or a site, as a list that tasks can be mapped over.

    Each is a dict of ``participant_id``, ``participant_oid``, ``status`` and ``site_oid``: pseudonyms, no contact data.
    XCom holds the whole list, so for thousands of participants name a site, or a time in ``changed_since``.

    :param study_oid: the study. Templated.
    :param site_oid: one of its sites; ``None`` lists the study with all its sites. Templated.
    :param by_site: tell who is at which site, where the study is listed: its sites are found out and listed, too, a
        call for each. Else ``site_oid`` is None there, as it is for somebody at no site.
    :param changed_since: only those who were added or changed at this time or later: a ``datetime``, or text in ISO
        8601 such as ``{{ data_interval_start }}``; UTC where it names no zone. Some servers tell only the day of a
        change: then somebody may be listed once too often, and nobody is left out. Templated.
    :param include_removed: list removed participants, too.
    :param openclinica_conn_id: connection of type ``openclinica``. Templated.
    """

    template_fields: Sequence[str] = ("changed_since", *OpenClinicaStudyOperator.template_fields)

    def __init__(
        self,
        *,
        by_site: bool = False,
        changed_since: datetime | str | None = None,
        include_removed: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.by_site = by_site
        self.changed_since = changed_since
        self.include_removed = include_removed

    def execute(self, context: Context) -> list[dict[str, str | None]]:  # noqa: ARG002 - Airflow's signature
        """Ask, and filter here: OpenClinica has no filter."""
        with airflow_failures():
            since = moment(self.changed_since, "changed_since")
            study_oid, site_oid = oid(self.study_oid, "study_oid"), self.site_oid or None
            listed = self.client.participants.list(study_oid, site_oid)
            found = [participant for participant in listed if self._is_wanted(participant, since)]
            self.log.info("%d of %d participants are listed", len(found), len(listed))
            sites = self._sites(study_oid) if self.by_site and not site_oid and found else {}
            return [
                {
                    "participant_id": participant.participant_id,
                    "participant_oid": participant.oid,
                    "status": participant.status,
                    "site_oid": site_oid or sites.get(participant.oid),
                }
                for participant in found
            ]

    def _sites(self, study_oid: str) -> dict[str, str]:
        """Return the site of each participant, by participant OID."""
        client = self.client
        return {
            participant.oid: site
            for site in client.studies.sites(study_oid)
            for participant in client.participants.list(study_oid, site)
        }

    def _is_wanted(self, participant: ListedParticipant, since: datetime | None) -> bool:
        if participant.removed and not self.include_removed:
            return False
        changed = participant.changed_at
        return since is None or changed is None or changed >= since


def site_and_participant(listed: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the arguments by which another operator acts on a participant: for mapping tasks over a list.

    ``expand_kwargs(who.output.map(site_and_participant))``, where ``who`` is an ``OpenClinicaListParticipantsOperator``
    with ``site_oid`` or ``by_site``.
    """
    return {name: listed[name] for name in ("site_oid", "participant_id")}


def _refuse_id(reason: str) -> None:
    if reason:
        raise ConfigurationError(f"participant_id {reason}")


def moment(given: datetime | str | None, argument: str) -> datetime | None:
    """Return a time; UTC where it names no zone.

    :raises ConfigurationError: it is none.
    """
    if given is None:
        return None
    try:
        time = given if isinstance(given, datetime) else datetime.fromisoformat(given)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{argument} is no time in ISO 8601, once it is rendered") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
