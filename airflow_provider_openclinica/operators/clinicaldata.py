"""Import clinical data: an ODM file in, a log with the outcome of each row out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.engine.imports import MOST_ITEMS, ImportRequest, prepare
from airflow_provider_openclinica.errors import ConfigurationError
from airflow_provider_openclinica.operators.arguments import file_address
from airflow_provider_openclinica.operators.bulk import OpenClinicaBulkOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from airflow_provider_openclinica.engine.run import Prepared


class OpenClinicaImportClinicalDataOperator(OpenClinicaBulkOperator):
    """Import a CDISC ODM file and wait until each of its rows has an outcome. Safe to retry.

    The file is checked before anything leaves the worker, brought into the form that OpenClinica reads reliably, and
    cut where it has to be: by ``ClinicalData``, by site where it names the study, and by size. Each part is a job of
    its own; they run one after the other. How OpenClinica imports: docs/protocol.md, import.

    :param odm_uri: ODM 1.3 XML; a local path, or any URI that Airflow's ``ObjectStoragePath`` opens, as a
        string or a path object. Templated.
    :param attachments_uri: ZIP of the files that FILE items name, for a file that is one job. Templated.
    :param study_oid: the study that the sites in the file belong to. Needed only where the file names a site and a
        lost job has to be looked up. Templated.
    :param require_repeat_keys: refuse a file in which a visit or an item group has no repeat key: each import of such
        a file adds visits and rows, a retry's too. Write ``1`` where nothing repeats.
    :param max_items_per_job: largest number of items in one job, since the server holds a file in memory and in one
        transaction. A participant is never cut.
    :param kwargs: what all bulk operators take; see ``OpenClinicaBulkOperator``.
    """

    template_fields: Sequence[str] = (
        "odm_uri",
        "attachments_uri",
        "study_oid",
        *OpenClinicaBulkOperator.template_fields,
    )

    def __init__(
        self,
        *,
        odm_uri: str,
        attachments_uri: str | None = None,
        study_oid: str | None = None,
        require_repeat_keys: bool = True,
        max_items_per_job: int = MOST_ITEMS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if max_items_per_job < 1:
            raise ConfigurationError("max_items_per_job is not 1 or more")
        self.odm_uri = odm_uri
        self.attachments_uri = attachments_uri
        self.study_oid = study_oid
        self.require_repeat_keys = require_repeat_keys
        self.max_items_per_job = max_items_per_job

    def prepare(self, folder: Path, plan: Mapping[str, Any] | None) -> Prepared:
        """Check the file and its attachments here, read the site lists, and cut the file into parts."""
        request = ImportRequest(
            odm_uri=file_address(self.odm_uri, "odm_uri"),
            attachments_uri=file_address(self.attachments_uri, "attachments_uri") if self.attachments_uri else None,
            study_oid=self.study_oid,
            require_repeat_keys=self.require_repeat_keys,
            max_items_per_job=self.max_items_per_job,
        )
        return prepare(request, self.files, folder, lambda: self.client, plan)
