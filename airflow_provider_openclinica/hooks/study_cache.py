"""A study's metadata, kept for a while: a server takes seconds to build them, and they change when people publish.

    study_metadata("openclinica_default", "S_JUNO", max_age=3600)

They are kept in this process, and for all processes of this host in a file beside the tokens, unless the connection's
``token_cache`` is ``memory``. What is kept is what `read_metadata` makes of them: how the study is built, no clinical
data, and nothing of the users whom the document names at its end. Accounts do not share: roles may see different forms.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_openclinica import __version__
from airflow_provider_openclinica.client.token_shelf import FileShelf
from airflow_provider_openclinica.errors import ConfigurationError, FileError, NotFoundError, UnexpectedAnswerError
from airflow_provider_openclinica.hooks.clients import client_for, token_cache_dir, token_cache_of
from airflow_provider_openclinica.odm.design import StudyMetadata
from airflow_provider_openclinica.odm.metadata import read_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_openclinica.client.addresses import ServerSettings
    from airflow_provider_openclinica.client.client import OpenClinicaClient

log = logging.getLogger(__name__)

MOST_BYTES = 256 << 20  #: of a file
STUDIES = 16  #: kept in this process


@dataclass(frozen=True, slots=True)
class _Kept:
    """Metadata, and when they were read, in seconds since 1970."""

    read_at: float
    metadata: StudyMetadata

    def is_fresh(self, max_age: float) -> bool:
        """Tell whether they are young enough, in seconds."""
        now = time.time()
        return now - max_age < self.read_at <= now  # what a wrong clock left behind is not


_in_memory: dict[str, _Kept] = {}
_keeping = threading.Lock()


def study_metadata(conn_id: str, study_oid: str, max_age: float) -> StudyMetadata:
    """Return a study's metadata, not older than that.

    :param conn_id: a connection of type ``openclinica``.
    :param study_oid: OID of the study, or of a site; letter case matters.
    :param max_age: seconds.
    :raises NotFoundError: the answer does not speak of that study.
    :raises ServerUnavailableError: status 500, also for a study that does not exist.
    :raises UnexpectedAnswerError: what came is no ODM.
    """
    in_files = token_cache_of(BaseHook.get_connection(conn_id)) != "memory"
    client = client_for(conn_id)
    name = _name(client.settings, study_oid)
    kept = next((kept for kept in _found(name, in_files) if kept.is_fresh(max_age)), None)
    if kept is None:
        kept = _Kept(time.time(), _fetch(client, study_oid))
        if in_files:
            _save(name, kept)
    with _keeping:
        _in_memory.pop(name, None)
        _in_memory[name] = kept  # at the end: the first is the one that was not asked for the longest
        if len(_in_memory) > STUDIES:
            del _in_memory[next(iter(_in_memory))]
    return kept.metadata


def _found(name: str, in_files: bool) -> Iterator[_Kept]:
    """Yield what is kept, nearest first."""
    if kept := _in_memory.get(name):
        yield kept
    if in_files and (kept := _load(name)):
        yield kept


def _fetch(client: OpenClinicaClient, study_oid: str) -> StudyMetadata:
    with client.studies.metadata(study_oid) as streamed:
        try:
            metadata = read_metadata(streamed.chunks(), charset=streamed.charset)
        except FileError as error:
            raise UnexpectedAnswerError(
                "The metadata of a study are not the ODM they should be", study=study_oid
            ) from error
    if metadata.study_oid.casefold() != study_oid.casefold():
        raise NotFoundError("OpenClinica answered with metadata, and not of this study", study=study_oid)
    return metadata


def _name(settings: ServerSettings, study_oid: str) -> str:
    parts = [__version__, settings.study_url, settings.auth_url, settings.login, study_oid]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32] + ".metadata"


def _load(name: str) -> _Kept | None:
    """Read a file; None for one that is not there, or is damaged."""
    try:
        written = json.loads(_shelf().read(name, most=MOST_BYTES))
        return _Kept(float(written["read_at"]), _rebuilt(StudyMetadata, written["metadata"]))
    except (ConfigurationError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _save(name: str, kept: _Kept) -> None:
    """Write a file; a full disk must not cost what was fetched."""
    try:
        _shelf().write(name, json.dumps(asdict(kept)))
    except ConfigurationError as error:
        log.warning("The metadata of the study cannot be kept for other tasks: %s", error)


def _shelf() -> FileShelf:
    return FileShelf(token_cache_dir(), "studies")


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _rebuilt(kind: Any, written: Any) -> Any:
    """Make again, of JSON, what ``asdict`` took apart.

    :param kind: a dataclass, or the type of one of its fields.
    """
    if isinstance(kind, type) and is_dataclass(kind):
        return kind(**{name: _rebuilt(hint, written[name]) for name, hint in _hints(kind).items()})
    origin, inside = get_origin(kind), get_args(kind)
    if origin is tuple:
        return tuple(_rebuilt(inside[0], part) for part in written)
    if origin is dict:
        return {key: _rebuilt(inside[1], part) for key, part in written.items()}
    if NoneType in inside and written is not None:
        return _rebuilt(next(part for part in inside if part is not NoneType), written)
    return written
