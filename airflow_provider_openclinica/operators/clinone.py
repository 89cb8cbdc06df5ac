"""Any request to ClinOne: JSON in, JSON to a file or to what the DAG's author picks of it."""

from __future__ import annotations

import hashlib
import json as json_module
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_openclinica.client.clinone.client import MOST_BYTES, QUESTIONS
from airflow_provider_openclinica.engine.once import Once
from airflow_provider_openclinica.errors import AmbiguousSubmitError, ConfigurationError, FileError, OpenClinicaError
from airflow_provider_openclinica.hooks.clinone import ClinOneHook
from airflow_provider_openclinica.hooks.storage import Measured, ObjectStorage
from airflow_provider_openclinica.operators import state
from airflow_provider_openclinica.operators.arguments import file_address
from airflow_provider_openclinica.operators.failures import airflow_failures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_openclinica.client.clinone.client import ClinOneClient


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What is sent, once it is rendered and read."""

    method: str
    path: str
    query: Mapping[str, Any] | None
    json: Any
    function_group: str

    @property
    def sha256(self) -> str:
        """A digest that only the same request has."""
        return hashlib.sha256(json_module.dumps(astuple(self), default=str).encode()).hexdigest()

    def arguments(self, repeatable: bool) -> dict[str, Any]:
        """Return what the client's methods take."""
        return {
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "json": self.json,
            "function_group": self.function_group,
            "repeatable": repeatable,
        }


class ClinOneOperator(BaseOperator):
    """Send one request to ClinOne. What its API has at which path, ClinOne tells its customers and nobody else.

    A request that changes something is sent once: where its answer is lost, or a worker dies meanwhile, the task fails
    and says so, and no retry sends it again. Airflow 3.3 and later keep what a retry has to know; before, no retry of a
    task sends such a request. Clearing the task does, on purpose. Set ``repeatable`` where twice does no harm.

    Returns what ``result`` makes of the reply; with ``output_uri`` instead ``status``, ``output_uri``, ``size`` and
    ``sha256``; with neither, ``status``. A reply may hold personal data, and XCom is for many to see: so let ``result``
    pick what may be seen.

    :param method: ``GET``, ``POST``, ``PUT``, ``PATCH``, ``DELETE`` or ``HEAD``. Templated.
    :param path: below the base URL of the connection. It is in no log line. Templated.
    :param query: query parameters. Templated.
    :param json: the body, an object or a list. It is shown as a rendered template, so write no personal data into it.
        Templated.
    :param json_uri: instead of ``json``, a file that holds it: a local path, or any URI that Airflow's
        ``ObjectStoragePath`` opens. For personal data. Templated.
    :param output_uri: store the reply there, as it came; a local file can be read by its owner only. Templated.
    :param result: function of the reply's JSON (``None`` for an empty reply) that returns the task's result, a JSON
        value; a list of it can be mapped over.
    :param function_group: that of ClinOne's scopes the path belongs to, such as ``patient``: one warning says when the
        token seems to lack what the method takes. Templated.
    :param repeatable: whether the request may be made twice. Default: ``GET`` and ``HEAD`` may, others not.
    :param clinone_conn_id: connection of type ``clinone``. Templated.
    """

    template_fields: Sequence[str] = (
        "method",
        "path",
        "query",
        "json",
        "json_uri",
        "output_uri",
        "function_group",
        "clinone_conn_id",
    )
    template_fields_renderers = {"query": "json", "json": "json"}  # noqa: RUF012  # as BaseOperator declares it
    ui_color = "#e8f4ea"

    def __init__(
        self,
        *,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        json_uri: str | None = None,
        output_uri: str | None = None,
        result: Callable[[Any], Any] | None = None,
        function_group: str = "",
        repeatable: bool | None = None,
        clinone_conn_id: str = ClinOneHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if json is not None and json_uri is not None:
            raise ConfigurationError("The body comes from json or from json_uri, and not from both")
        if output_uri is not None and result is not None:
            raise ConfigurationError("The reply goes to output_uri or through result, and not to both")
        if result is not None and not callable(result):
            raise ConfigurationError("result is no function")
        self.method, self.path, self.query = method, path, query
        self.json, self.json_uri = json, json_uri
        self.output_uri, self.result = output_uri, result
        self.function_group, self.repeatable = function_group, repeatable
        self.clinone_conn_id = clinone_conn_id

    def execute(self, context: Context) -> Any:
        """Send the request, unless an earlier try of this task has."""
        with airflow_failures():
            request, files = self._request(), ObjectStorage()
            if self.output_uri is not None:
                files.check_target(file_address(self.output_uri, "output_uri"))
            client = ClinOneHook(self.clinone_conn_id).get_conn()
            if request.method in QUESTIONS if self.repeatable is None else self.repeatable:
                return self._send(client, request.arguments(repeatable=True), files, lambda: None)
            return self._send_once(context, client, request, files)

    def _send_once(self, context: Context, client: ClinOneClient, request: _Request, files: ObjectStorage) -> Any:
        """Send a request that must not arrive twice."""
        once = Once(
            state.store(context),
            generation=state.generation(context),
            is_first_try=state.is_first_try_of_generation(context, self),
        )
        if done := once.begin(request.sha256):
            self.log.info("An earlier try of this task has made the request: its result is returned")
            return done.result
        try:
            result = self._send(client, request.arguments(repeatable=False), files, once.answered)
        except AmbiguousSubmitError:
            raise
        except OpenClinicaError:
            once.refused()
            raise
        once.finish(result)
        return result

    def _send(
        self, client: ClinOneClient, arguments: dict[str, Any], files: ObjectStorage, answered: Callable[[], None]
    ) -> Any:
        if self.output_uri is not None:
            return self._store(client, arguments, files, answered)
        reply = client.request(**arguments)
        answered()
        self.log.info("ClinOne answered with status %s", reply.status)
        return {"status": reply.status} if self.result is None else picked(self.result, reply.json)

    def _store(
        self, client: ClinOneClient, arguments: dict[str, Any], files: ObjectStorage, answered: Callable[[], None]
    ) -> dict[str, Any]:
        output_uri = file_address(self.output_uri, "output_uri")
        with client.stream(**arguments) as reply:
            answered()
            with files.create(output_uri, private=True) as target:
                stored = Measured(target)
                for chunk in reply.chunks():
                    stored.write(chunk)
        self.log.info("ClinOne answered with status %s and %s bytes: %s", reply.status, stored.size, output_uri)
        return {"status": reply.status, "output_uri": output_uri, "size": stored.size, "sha256": stored.sha256}

    def _request(self) -> _Request:
        """Check and read what is to be sent.

        :raises ConfigurationError: an argument cannot work.
        :raises FileError: the file is no JSON.
        :raises FileUnavailableError: it cannot be opened.
        """
        if self.query is not None and not isinstance(self.query, dict):
            raise ConfigurationError("query is no object, once it is rendered")
        return _Request(
            method=self.method,
            path=self.path,
            query=self.query,
            json=self.json if self.json_uri is None else _read(file_address(self.json_uri, "json_uri")),
            function_group=self.function_group or "",
        )


def picked(pick: Callable[[Any], Any], reply: Any) -> Any:
    """Return what a function of the DAG's author makes of a reply, as a JSON value.

    :raises OpenClinicaError: it raises one.
    :raises ConfigurationError: it fails, or returns something else. What it says is not repeated: it may quote a value.
    """
    try:
        return json_module.loads(json_module.dumps(pick(reply)))
    except OpenClinicaError:
        raise
    except Exception as error:  # noqa: BLE001  # a user's function may raise anything
        raise ConfigurationError(
            f"ClinOne answered, and result raised {type(error).__name__} or returned no JSON value",
            next_step="Store the reply with output_uri, on a test system, and try the function on it.",
        ) from None


def _read(json_uri: str) -> Any:
    """Read a body from a file."""
    with ObjectStorage().open(json_uri) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise FileError(f"{json_uri} has more than {MOST_BYTES >> 20} MiB")
    try:
        return json_module.loads(content)
    except (ValueError, RecursionError):
        raise FileError(f"{json_uri} is no JSON") from None
