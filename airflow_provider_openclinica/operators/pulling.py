"""What the operators that pull clinical data have in common: how to cut a pull, and how to pull what has changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.engine.increments import FULL_EVERY, OVERLAP, Increment, Window
from airflow_provider_openclinica.engine.pull import How
from airflow_provider_openclinica.errors import ConfigurationError
from airflow_provider_openclinica.hooks.either import is_openclinica3, reading_client_for
from airflow_provider_openclinica.operators.arguments import file_address, switch_of
from airflow_provider_openclinica.operators.assets import output_asset
from airflow_provider_openclinica.operators.base import StoppableOperator
from airflow_provider_openclinica.operators.state import task_key
from airflow_provider_openclinica.operators.watermarks import FileMarks, marks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.engine.increments import Marks
    from airflow_provider_openclinica.engine.pieces import Request
    from airflow_provider_openclinica.engine.pull import PartitionBy
    from airflow_provider_openclinica.hooks.storage import ObjectStorage


class PullingOperator(StoppableOperator):
    """An operator that pulls clinical data from either OpenClinica.

    :param partition_by: ``study``: one request. ``site``, ``participant``: a request and a document for each. ``auto``:
        one request; where it fails, one for each site; where one of these fails, one for each participant there. All
        but ``study`` need an account that may list participants.
    :param max_parallel: requests at the same time, 1 to 8. The server also serves the sites.
    :param allow_empty: succeed where OpenClinica answers without clinical data: there may be none, the account may have
        no role, or the server may not know the selectors, and it does not say which.
    :param incremental: pull only participants who changed since this task last did, each of them whole; everything at
        first, and every so often. Needs an account that may list participants, and OpenClinica 4. Templated.
    :param overlap: how long before the end of the last pull to ask for changes: longer than any import runs.
    :param full_every: pull everything where that is as long ago, since not every change moves a participant's date
        (docs/incremental.md), and where more than a quarter of the participants have changed; None: never again.
    :param watermark_uri: a folder, or its address, in which to keep how far the task has come. None: Airflow's asset
        state store where it has one for the output, else the output's folder, which then has to be the same one in each
        run. Templated.
    """

    template_fields: Sequence[str] = ("incremental", "watermark_uri", *StoppableOperator.template_fields)

    def __init__(
        self,
        *,
        partition_by: PartitionBy = "study",
        max_parallel: int = 2,
        allow_empty: bool = False,
        incremental: bool | str = False,
        overlap: timedelta = OVERLAP,
        full_every: timedelta | None = FULL_EVERY,
        watermark_uri: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        How(partition_by=partition_by, max_parallel=max_parallel)
        Window(overlap=overlap, full_every=full_every)
        self.partition_by = partition_by
        self.max_parallel = max_parallel
        self.allow_empty = allow_empty
        self.incremental = incremental
        self.overlap = overlap
        self.full_every = full_every
        self.watermark_uri = watermark_uri

    @staticmethod
    def client_of(conn_id: str, *, sleep: Callable[[float], None]) -> OpenClinicaClient:
        """Return the client of a connection of either type."""
        return reading_client_for(conn_id, sleep=sleep)

    @property
    def how(self) -> How:
        """How to cut a pull."""
        return How(
            partition_by=self.partition_by,
            max_parallel=self.max_parallel,
            allow_empty=self.allow_empty,
            whole_if_many=self.full_every is not None,
        )

    @property
    def is_incremental(self) -> bool:
        """Whether only what changed is wanted.

        :raises ConfigurationError: ``incremental`` is neither yes nor no, once it is rendered.
        """
        return switch_of(self.incremental, "incremental")

    def increment(
        self, context: Context, request: Request, files: ObjectStorage, output_uri: str, *made: str
    ) -> Increment | None:
        """Read how far this task has come with this request; None where everything is wanted anyway.

        :param output_uri: ends in ``/``.
        :param made: what is made of the answer; with another account, server or kind of output all begins anew.
        :raises ConfigurationError: what changed cannot be pulled so.
        """
        if not self.is_incremental:
            return None
        if request.is_of_one:
            raise ConfigurationError("incremental picks among participants, and participant names one")
        if is_openclinica3(self.openclinica_conn_id):
            raise ConfigurationError(
                "OpenClinica 3 does not say when a participant was last changed",
                next_step="Leave incremental out, which pulls everything, and compare that with the pull before.",
            )
        key, server = task_key(context), self.client.settings
        whose = [key.dag_id, key.task_id, key.map_index, server.study_url, server.login, asdict(request), made]
        marks = self._marks(context, files, output_uri, f"watermark.{_digest(whose)}")
        window = Window(overlap=self.overlap, full_every=self.full_every)
        found = Increment(marks, window, _digest(asdict(key)), datetime.now(UTC))
        if found.since is None:
            self.log.info("Everything is pulled: %s", found.why)
        return found

    def _marks(self, context: Context, files: ObjectStorage, output_uri: str, name: str) -> Marks:
        if self.watermark_uri is None and (kept := marks_of(context, self, output_asset(output_uri), name)):
            return kept
        folder = output_uri if self.watermark_uri is None else file_address(self.watermark_uri, "watermark_uri")
        files.check_target(f"{folder.rstrip('/')}/")
        return FileMarks(files, f"{folder.rstrip('/')}/_{name}.json")


def _digest(told: object) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
