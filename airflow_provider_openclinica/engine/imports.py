"""Prepare an ODM file for OpenClinica: check it here, cut it into parts, and say how each is sent.

The order is a promise: what can be found wrong on this side is found before the first request, the token's included.
Only then are the site lists read, where the file names a study and not a site. Parts are normalised copies in a folder
that the caller throws away; preparing the same file by the same plan gives the same bytes, so that a part can be
recognised in another process (docs/protocol.md, import document).
"""

from __future__ import annotations

import hashlib
import logging
import posixpath
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.client.uploads import upload_file, upload_from
from airflow_provider_openclinica.engine.collect import ParticipantsSent
from airflow_provider_openclinica.engine.lists import is_unreadable
from airflow_provider_openclinica.engine.refusal import refuse
from airflow_provider_openclinica.engine.run import Outgoing, Prepared
from airflow_provider_openclinica.engine.sites import NO_SITE, Grouping, sites_of
from airflow_provider_openclinica.errors import FileError, OpenClinicaError
from airflow_provider_openclinica.odm.attachments import check_attachments
from airflow_provider_openclinica.odm.checks import check
from airflow_provider_openclinica.odm.splitter import split, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.client.uploads import Upload
    from airflow_provider_openclinica.engine.files import Files
    from airflow_provider_openclinica.odm.model import ClinicalDataSummary, Part

log = logging.getLogger(__name__)

JOB_TYPE = "XML_IMPORT"  #: as the job list names it
MOST_ITEMS = 50_000  #: a server holds a file in memory, as text, as objects and in one transaction
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What the user asks for; the arguments of ``OpenClinicaImportClinicalDataOperator``."""

    odm_uri: str
    attachments_uri: str | None = None
    study_oid: str | None = None
    require_repeat_keys: bool = True
    max_items_per_job: int = MOST_ITEMS


def prepare(
    request: ImportRequest,
    files: Files,
    folder: Path,
    client: Callable[[], OpenClinicaClient],
    plan: Mapping[str, Any] | None = None,
) -> Prepared:
    """Check a file and its attachments, and cut it into parts.

    :param folder: empty; holds a copy of the file and the parts, which are clinical data.
    :param client: gives the client, once one is needed.
    :param plan: of an earlier try; followed if the file is still the same.
    :raises FileError: something is wrong with the files; nothing was sent, and nobody was asked.
    :raises OSError: a file cannot be read.
    :raises OpenClinicaError: the server is down or refuses the credentials.
    """
    source = folder / "source.xml"
    digest = _copy(request.odm_uri, files, source)
    if plan and plan["source_sha256"] == digest:  # checked before it was planned
        attachments = _attachments(request, files)
        grouping, unsplit = _kept_grouping(plan), plan["unsplit"]
    else:
        refuse(request.odm_uri, check(source, require_repeat_keys=request.require_repeat_keys))
        _check_attachments(request, files, source)
        attachments = _attachments(request, files)
        grouping, unsplit = _asked_grouping(survey(source), request, client)
    parts = split(source, folder, max_items=request.max_items_per_job, site_of=grouping)
    source.unlink()
    if attachments and len(parts) > 1:
        raise FileError(
            f"{request.odm_uri} needs {len(parts)} jobs, and attachments can go with one only",
            next_step="Give each ClinicalData, and each site, a file and a ZIP of its own, or raise max_items_per_job.",
        )
    plan = {"source_sha256": digest, "unsplit": unsplit, "grouping": grouping.to_json() if grouping else None}
    return Prepared(
        [_outgoing(number, part, request, attachments, unsplit) for number, part in enumerate(parts, 1)], plan
    )


def _copy(uri: str, files: Files, target: Path) -> str:
    """Copy the file, so that nobody changes it between two readings, and return its digest."""
    digest = hashlib.sha256()
    with files.open(uri) as source, target.open("wb") as copy:
        while block := source.read(BLOCK):
            digest.update(block)
            copy.write(block)
    return digest.hexdigest()


def _check_attachments(request: ImportRequest, files: Files, source: Path) -> None:
    if request.attachments_uri:
        with files.open(request.attachments_uri) as archive:
            refuse(request.attachments_uri, check_attachments(archive, source))


def _attachments(request: ImportRequest, files: Files) -> Upload | None:
    if not request.attachments_uri:
        return None
    opener = partial(files.open, request.attachments_uri)
    return upload_from(opener, name="attachments.zip", content_type="application/zip")


def _kept_grouping(plan: Mapping[str, Any]) -> Grouping | None:
    return Grouping.from_json(plan["grouping"]) if plan["grouping"] else None


def _asked_grouping(
    summaries: Sequence[ClinicalDataSummary], request: ImportRequest, client: Callable[[], OpenClinicaClient]
) -> tuple[Grouping | None, list[str]]:
    """Ask for the site lists of each study whose participants may be of several sites.

    :returns: the grouping, and the studies whose lists cannot be read.
    """
    sites: dict[str, Callable[[str, str], str]] = {}
    unsplit: list[str] = []
    for study_oid in dict.fromkeys(summary.study_oid for summary in summaries if summary.subjects > 1):
        if _where(study_oid, request.study_oid)[1]:
            continue  # a site, by the user's own word
        try:
            site_of = sites_of(client(), study_oid)
        except OpenClinicaError as error:
            if not is_unreadable(error):
                raise
            log.warning(
                "%s is sent as it is: its participants cannot be told apart by site (%s)", study_oid, error.args[0]
            )
            unsplit.append(study_oid)
        else:
            if site_of:
                sites[study_oid] = site_of

    def group(study_oid: str, subject_key: str, participant_id: str) -> str:
        return sites[study_oid](subject_key, participant_id) if study_oid in sites else NO_SITE

    return Grouping(group) if sites else None, unsplit


def _outgoing(
    number: int, part: Part, request: ImportRequest, attachments: Upload | None, unsplit: Sequence[str]
) -> Outgoing:
    upload = upload_file(part.path, name=part.path.name, content_type="text/xml")
    study_oid, site_oid = _where(part.study_oid, request.study_oid)

    def send(client: OpenClinicaClient, name: str) -> str:
        return client.clinicaldata.import_odm(replace(upload, name=name), attachments=attachments, study=part.study_oid)

    return Outgoing(
        number=number,
        job_type=JOB_TYPE,
        study_oid=study_oid,
        site_oid=site_oid,
        stem=posixpath.splitext(posixpath.basename(request.odm_uri))[0],
        suffix=".xml",
        payload_sha256=_digest_of(upload, attachments),
        rows_sent=None,
        sent=ParticipantsSent(part.participants),
        unsplit_study=part.study_oid in unsplit and part.subjects > 1,
        send=send,
        about=_about(part, upload, attachments),
    )


def _where(named: str, parent: str | None) -> tuple[str, str | None]:
    """Return study and site whose job list shows the job of a file that names this OID."""
    if parent and parent.casefold() != named.casefold():
        return parent, named
    return named, None


def _digest_of(upload: Upload, attachments: Upload | None) -> str:
    """Return the digest of all that is sent: the document's own, or one over both files' digests."""
    if attachments is None:
        return upload.sha256
    return hashlib.sha256(f"{upload.sha256} {attachments.sha256}".encode()).hexdigest()


def _about(part: Part, upload: Upload, attachments: Upload | None) -> str:
    site = f" ({part.group})" if part.group != NO_SITE else ""
    beside = f", with {attachments.size:,} bytes of attachments" if attachments else ""
    participants = f"{part.subjects:,} participant{'s' if part.subjects != 1 else ''}"
    return f"{part.items:,} items of {participants} for {part.study_oid}{site}, {upload.size:,} bytes{beside}"
