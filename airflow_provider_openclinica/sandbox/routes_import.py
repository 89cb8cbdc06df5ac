"""Importing clinical data: the job, and the deprecated call that makes none (docs/protocol.md, import)."""

from __future__ import annotations

import zipfile
from collections import Counter
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from airflow_provider_openclinica.sandbox.accounts import SITE_WRITERS, STUDY_WRITERS, SYSTEM, Account, Role
from airflow_provider_openclinica.sandbox.answers import Answered, html, json, text, validation_error
from airflow_provider_openclinica.sandbox.data import ClinicalStore
from airflow_provider_openclinica.sandbox.dialect import Dialect
from airflow_provider_openclinica.sandbox.importer import JobFailed, XmlRefused, read_upload, run_import
from airflow_provider_openclinica.sandbox.joblog import write_import_log
from airflow_provider_openclinica.sandbox.jobs import LONGEST_NAME, Log
from airflow_provider_openclinica.sandbox.multipart import Form, uploaded
from airflow_provider_openclinica.sandbox.service import Place, Service, is_open

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_provider_openclinica.sandbox.import_document import Document
    from airflow_provider_openclinica.sandbox.joblog import Row
    from airflow_provider_openclinica.sandbox.multipart import Part
    from airflow_provider_openclinica.sandbox.study import Study

SUFFIX = ".xml"
ATTACHMENTS = {Dialect.DOCS: {"attachedFilesZip": ""}, Dialect.SOURCE: {}}
DEPRECATED_DETAILS = ["Audit Messages:", "Rule Action Messages:", "Skip CRF Messages:"]

#: Code -> the status it comes with in the source, and how the vendor's documents spell it.
REFUSALS = {
    "fileFormatNotSupported": (415, "fileFormatNotSupported"),
    "invalidXMLFile": (415, "invalidXMLFile"),
    "studyOidMissing": (404, "missingStudyOID"),
    "studyNotExist": (404, "studyOIDNotFound"),
    "studyNotAvailable": (200, "studyOIDNotAvailable"),
    "siteNotAvailable": (200, "siteNotAvailable"),
    "noRoleSetUp": (200, "noRoleSetup"),
    "noSufficientPrivileges": (200, "noSufficientPrivileges"),
    "importFailed": (400, "importFailed"),
    "multipleFiles": (400, "multipleFiles"),  # the last two: documented servers only
    "missingItemFile": (400, "missingItemFile"),
}


def refusal(request: Request, code: str, more: str = "") -> Answered:
    """Refuse an import before there is a job. The documents give no status for that; 400 stands for it.

    :param code: as the source spells it, without its prefix.
    :param more: what follows the code.
    """
    status, documented = REFUSALS[code]
    if request.app.state.service.dialect is Dialect.DOCS:
        status, code = 400 if status in {200, 404} else status, documented
    return Answered(text(request, f"errorCode.{code}{more}", status=status))


async def import_odm(request: Request) -> Response:
    """Take an ODM file and answer with the uuid of the job that imports it."""
    service: Service = request.app.state.service
    account = service.identify(request)
    async with uploaded(request, {"file": SUFFIX} | ATTACHMENTS[service.dialect]) as form:
        return await run_in_threadpool(_import, request, service, account, form)


def _import(request: Request, service: Service, account: Account, form: Form) -> Response:
    files = form.all("file")
    if not files:
        return html(400)
    name = files[0].filename
    if not name.endswith(SUFFIX):
        raise refusal(request, "fileFormatNotSupported")
    document = _document(request, files[0].read(), service.dialect)
    place = _writable_place(request, service, account, document)
    if service.dialect is Dialect.DOCS:
        _check_attachments(request, form, document, place.study)
    work = partial(_work, service, account, document, place)
    if account.user_type == SYSTEM:
        return _import_at_once(request, service, work)
    if len(name) > LONGEST_NAME:
        return html(500)
    job_uuid = service.jobs.submit(
        partial(_logged, work, service.dialect),
        kind="XML_IMPORT",
        study_oid=place.study.oid,
        site_oid=place.site.oid if place.site else "",
        creator=account.login,
        source_name=name,
        log_name=f"{place.study.unique_id}-{place.study.env}_XML_IMPORT",
    )
    return text(request, f"job uuid: {job_uuid}")


def _document(request: Request, raw: bytes, dialect: Dialect) -> Document:
    try:
        document = read_upload(raw)
    except XmlRefused as refused:
        raise refusal(request, "invalidXMLFile", f"\n{refused}") from None
    if document.study_oid is None and dialect is Dialect.SOURCE:
        raise Answered(html(500))
    if not document.study_oid:
        raise refusal(request, "studyOidMissing")
    return document


def _writable_place(request: Request, service: Service, account: Account, document: Document) -> Place:
    place = service.place(document.study_oid or "")
    if place is None:
        raise refusal(request, "studyNotExist")
    if not is_open(place.study.status):
        raise refusal(request, "studyNotAvailable")
    if place.site and not is_open(place.site.status):
        raise refusal(request, "siteNotAvailable")
    site_oid = place.site.oid if place.site else None
    if account.user_type != SYSTEM and account.role_in(place.study.oid, site_oid) is None:
        raise refusal(request, "noRoleSetUp")
    may_write = account.holds(place.study.oid, STUDY_WRITERS) or account.holds(site_oid, SITE_WRITERS)
    if account.user_type != SYSTEM and not may_write:
        raise refusal(request, "noSufficientPrivileges")
    return place


def _check_attachments(request: Request, form: Form, document: Document, study: Study) -> None:
    """Refuse a second ZIP, and an item that names a file which is not in the ZIP."""
    zips = form.all("attachedFilesZip")
    if len(zips) > 1:
        raise refusal(request, "multipleFiles")
    attached = _names_in(request, zips[0]) if zips else set()
    for item in document.items():
        definition = study.items.get(item.oid or "")
        if definition and definition.type == "FILE" and item.value and item.value not in attached:
            raise refusal(request, "missingItemFile", f".{item.value}")


def _names_in(request: Request, part: Part) -> set[str]:
    """Name the files of a ZIP, without folders. The documents say nothing of one that is no ZIP."""
    try:
        with zipfile.ZipFile(part.file) as archive:
            return {PurePosixPath(name).name for name in archive.namelist() if not name.endswith("/")}
    except zipfile.BadZipFile:
        raise refusal(request, "fileFormatNotSupported") from None


def _work(service: Service, account: Account, document: Document, place: Place, db: sqlite3.Connection) -> list[Row]:
    users = service.accounts.logins()
    return run_import(
        document, place.study, ClinicalStore(db, account.login), place.oid, account.login, service.dialect, users
    )


def _logged(work: partial[list[Row]], dialect: Dialect, db: sqlite3.Connection, _commit: Callable[[], None]) -> Log:
    rows = work(db)
    return Log(write_import_log(rows, dialect), Counter(row.status for row in rows))


def _import_at_once(request: Request, service: Service, work: partial[list[Row]]) -> Response:
    """Import as a System user does: the answer waits for the rows, and there is no job."""
    try:
        with service.state.writing() as db:
            rows = work(db)
    except JobFailed:
        return html(500)
    if any(row.status == "Failed" for row in rows):
        raise refusal(request, "importFailed")
    return text(request, "job uuid: null")


async def import_deprecated(request: Request) -> Response:
    """Import at once and answer JSON: the trap in the vendor's own sample call."""
    service: Service = request.app.state.service
    account = service.identify(request)
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await run_in_threadpool(_import_deprecated, service, account, await request.body())
    async with uploaded(request, {"file": SUFFIX}) as form:
        files = form.all("file")
        if not files or not files[0].filename.endswith(SUFFIX):
            return validation_error("notXMLfile", "")
        return await run_in_threadpool(_import_deprecated, service, account, files[0].read())


def _import_deprecated(service: Service, account: Account, raw: bytes) -> Response:
    _, start, rest = raw.partition(b"<ODM")
    if not start:
        return validation_error("XmlRootTagisNotODM", "")
    inside, end, _ = rest.partition(b"</ODM>")  # what stands around the document is dropped
    try:
        document = read_upload(start + inside + end)
    except XmlRefused as refused:
        return validation_error("Exception", str(refused))
    place = service.place(document.study_oid or "")
    if place is None:
        return validation_error("studyNotExist", "")
    if not document.subjects:
        return validation_error("noParticipantIDinDataFile", "")
    role = account.role_in(place.site.oid if place.site else None, place.study.oid)
    if role is None or role is Role.MONITOR:
        return validation_error("noSufficientPrivileges" if role else "noRoleSetUp", "")
    try:
        with service.state.writing() as db:
            _refuse_failed(_work(service, account, document, place, db))
    except JobFailed:
        return validation_error("ValidationFailed", "")
    return json({"message": "SUCCESS", "detailMessages": DEPRECATED_DETAILS})


def _refuse_failed(rows: list[Row]) -> None:
    if any(row.status.casefold() == "failed" for row in rows):
        raise JobFailed
