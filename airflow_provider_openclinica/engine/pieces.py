"""Retrieve one piece of a study's clinical data into a file: clean, counted, measured and whole, or not at all.

    fetch(client, request, piece, files, uri, stop)    a study, a site, a participant, or the study's metadata

What the server wrote badly is mended where that has one meaning only, and counted (``odm/repair.py``). Nothing else in
the document changes: no tag is parsed unless events or forms are selected.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from airflow_provider_openclinica.engine.storing import store
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    NotFoundError,
    OpenClinicaError,
    ServerUnavailableError,
    WaitInterruptedError,
)
from airflow_provider_openclinica.odm.reader import rows
from airflow_provider_openclinica.odm.repair import Repairs, clean, mend
from airflow_provider_openclinica.odm.select import EVERYTHING, Selection, select
from airflow_provider_openclinica.odm.subjects import rooted
from airflow_provider_openclinica.odm.tally import ELEMENTS, Tally

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.engine.files import PrivateFiles

log = logging.getLogger(__name__)

Holds = Literal["study", "site", "participant", "metadata"]

PAUSES = (1.0, 5.0, 20.0)  #: seconds before each further try to retrieve what broke off
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'
NOBODY = b'<SubjectData SubjectKey="null"'  #: what comes of a participant who is at another site than was asked for
PORTION_BYTES = 256 << 10  #: that are looked at in one go; servers send 8 KB, and each step costs time of its own
END_BYTES = 64  #: of a document in which its last tag stands
INTERNAL_ERROR = 500  #: the server fails at this very question; asked again, it does so again


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is wanted of a study. All its fields are JSON values.

    :param study_oid: OID of the study, or of one of its sites.
    :param participant: OID or ID; ``*`` for all.
    :param event: OIDs divided by commas, ``SE_VISIT[2]`` for one occurrence; ``*`` for all.
    :param form: OIDs as the metadata have them, divided by commas; ``*`` for all.
    :raises ConfigurationError: a selector is none; or it is one of ours, and JSON was asked for.
    """

    study_oid: str
    participant: str = field(default=EVERYTHING, repr=False)
    event: str = EVERYTHING
    form: str = EVERYTHING
    format: Literal["xml", "json"] = "xml"
    include_metadata: bool = False
    include_audits: bool = False
    include_queries: bool = False
    show_archived: bool = False

    def __post_init__(self) -> None:
        for name in ("study_oid", "participant"):
            if not getattr(self, name).strip():
                raise ConfigurationError(f"{name} is empty")
        if self.format not in ("xml", "json"):
            raise ConfigurationError("format is neither 'xml' nor 'json'")
        selection = self.selection
        if self.format == "json" and (selection.forms or (selection.events and self.participant == EVERYTHING)):
            raise ConfigurationError(
                "Forms, and events of all participants, cannot be selected in JSON",
                meaning="OpenClinica gives events of one named participant only, and forms by an OID that no metadata "
                "show; the rest is selected here, and JSON cannot be cut without writing it anew",
                next_step="Pull XML; or leave event and form at *.",
            )

    @property
    def is_of_one(self) -> bool:
        """Whether a single participant is wanted."""
        return self.participant != EVERYTHING

    @property
    def whole(self) -> Piece:
        """All that is wanted, as one piece."""
        holds: Holds = "participant" if self.is_of_one else "study"
        return Piece(holds=holds, study_oid=self.study_oid, participant=self.participant)

    @property
    def selection(self) -> Selection:
        """What stays of the events and forms that come."""
        return Selection.of(self.event, self.form, archived=self.show_archived)

    @property
    def selected(self) -> str:
        """What of each participant is wanted, in words that are the same for the same; empty for the usual."""
        said = [
            f"{name}={','.join(sorted(set(oids.split(','))))}"
            for name, oids in (("event", self.event), ("form", self.form))
            if oids != EVERYTHING
        ]
        return "; ".join([*said, "show_archived"] if self.show_archived else said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of the data that one request gives.

    :param study_oid: OID of the study, or of the site that is asked for.
    :param participant: OID or ID, where the piece is one participant's.
    """

    holds: Holds
    study_oid: str
    participant: str = field(default=EVERYTHING, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What is known of a piece once its file is there. It names no participant, so it may go anywhere.

    :param size: of the file, in bytes.
    :param counts: participants, events, forms, item groups and items in it.
    :param repairs: what was mended in it, by kind, as in ``odm.repair.Repairs``.
    :param encoding: what the server sent; the file is in UTF-8.
    """

    size: int
    sha256: str
    counts: dict[str, int]
    repairs: dict[str, int]
    encoding: str


def fetch(
    client: OpenClinicaClient,
    request: Request,
    piece: Piece,
    files: PrivateFiles,
    uri: str,
    stop: threading.Event,
    *,
    allow_empty: bool = False,
    once: bool = False,
) -> Fetched:
    """Retrieve a piece into a file. What breaks off is retrieved again, after growing pauses.

    :param stop: ends it: when it is set, a WaitInterruptedError comes with the next bytes, and no file.
    :param allow_empty: store a document without participants.
    :param once: do not try again.
    :raises NotFoundError: nobody is in the document, which may mean three things.
    :raises ServerUnavailableError: the server fails at it, or broke off each time.
    :raises FileError: what came is no ODM 1.3, or cannot be selected from.
    :raises FileUnavailableError: the file cannot be written.
    """
    pauses = iter(() if once else PAUSES)
    while True:
        try:
            with files.create(uri, private=True) as file:
                fetched = retrieve(client, request, piece, file, stop)
                if not allow_empty and not fetched.counts["participants"]:
                    raise no_data(piece.study_oid)
        except OpenClinicaError as error:
            error.study = error.study or piece.study_oid
            may_help = isinstance(error, ServerUnavailableError) and error.status != INTERNAL_ERROR
            pause = next(pauses, None) if may_help else None
            if pause is None:
                raise
            log.warning("%s, will try again", error.args[0])
        else:
            return fetched
        if stop.wait(pause):
            raise stopped()


def stopped() -> WaitInterruptedError:
    """Return the error for a pull that was told to stop."""
    return WaitInterruptedError(
        "Stopped while clinical data were being retrieved",
        next_step="The next try of a pull into a folder goes on after the documents that are stored.",
    )


def no_data(study_oid: str) -> NotFoundError:
    """Return the error for an answer without clinical data."""
    return NotFoundError(
        "OpenClinica answered without clinical data",
        study=study_oid,
        meaning="there are none, or the account has no role there, or the server does not know the selectors; it does "
        "not say which",
        next_step="Look at the study with the same account. Where it may be empty, set allow_empty=True.",
    )


def retrieve(
    client: OpenClinicaClient, request: Request, piece: Piece, file: BinaryIO, stop: threading.Event
) -> Fetched:
    """Retrieve a piece once. Parameters and errors are those of ``fetch``."""
    if stop.is_set():
        raise stopped()
    repairs, tally = Repairs(), Tally()
    is_metadata = piece.holds == "metadata"
    with client.clinicaldata.retrieve(
        piece.study_oid,
        participant=piece.participant,
        event=_asked_for(request, piece),
        format=request.format,
        include_metadata=is_metadata or (request.include_metadata and piece == request.whole),
        include_clinical_data=not is_metadata,
        include_audits=request.include_audits,
        include_queries=request.include_queries,
        show_archived=request.show_archived,
    ) as streamed:
        sent = clean(_portions(streamed.chunks(), stop), streamed.charset, repairs)
        if request.format == "json":
            published = _json(_whole(sent, b"}"), tally)
        else:
            published = _xml(mend(_whole(sent, b"</ODM>"), repairs), tally, request.selection)
        stored = store(published, file)
    return Fetched(
        size=stored.size,
        sha256=stored.sha256,
        counts=tally.counts,
        repairs=repairs.counts(),
        encoding=repairs.encoding,
    )


def _asked_for(request: Request, piece: Piece) -> str:
    """Return the events to ask the server for: of one participant it gives those that are named.

    Occurrences among several events are documented nowhere; of XML they are selected here.
    """
    if piece.participant == EVERYTHING:
        return EVERYTHING
    if request.format == "json" or request.event == EVERYTHING:
        return request.event
    return ",".join(sorted({oid for oid, _ in request.selection.events}))


def _portions(chunks: Iterable[bytes], stop: threading.Event) -> Iterator[bytes]:
    """Yield what comes in larger portions. To stop, it waits for no portion, only for the next bytes."""
    gathered: list[bytes] = []
    size = 0
    for chunk in chunks:
        if stop.is_set():
            raise stopped()
        gathered.append(chunk)
        size += len(chunk)
        if size >= PORTION_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


def _whole(chunks: Iterable[bytes], last: bytes) -> Iterator[bytes]:
    """Yield a document, and see that it ends as one: a server may break off without a word.

    :param last: what stands at its end, before blanks.
    :raises ServerUnavailableError: it does not.
    """
    end = b""
    for chunk in chunks:
        end = (end + chunk)[-END_BYTES:] if len(chunk) < END_BYTES else chunk[-END_BYTES:]
        yield chunk
    if not end.rstrip(b" \t\r\n").endswith(last):
        raise ServerUnavailableError(
            "The clinical data break off before their end",
            next_step="Retry; if it lasts, pull smaller pieces with partition_by='auto'.",
        )


def _xml(mended: Iterator[bytes], tally: Tally, selection: Selection) -> Iterator[bytes]:
    """Yield the document to publish, with a declaration that is true."""
    yield DECLARATION
    document = rooted(mended)
    for chunk in document if selection.is_everything else select(document, selection):
        tally.take(chunk)
        if tally.counts["participants"] == 1 and NOBODY in chunk:  # no chunk ends within a tag, see mend
            tally.counts["participants"] = 0
        yield chunk


def _json(sent: Iterator[bytes], tally: Tally) -> Iterator[bytes]:
    """Yield the document as it came, in UTF-8; it is read meanwhile, to count.

    :raises FileError: it is no JSON, or none of an export.
    """
    passed: list[bytes] = []

    def passing() -> Iterator[bytes]:
        for chunk in sent:
            passed.append(chunk)
            yield chunk

    for table, row in rows(passing(), charset="utf-8"):
        if table in ELEMENTS and row["subject_key"] != "null":  # as NOBODY
            tally.counts[table] += 1
        yield from _drained(passed)
    yield from _drained(passed)
    yield from sent


def _drained(chunks: list[bytes]) -> list[bytes]:
    drained, chunks[:] = chunks[:], []
    return drained
