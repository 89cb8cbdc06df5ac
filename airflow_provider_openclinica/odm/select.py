"""Leave events and forms out of an ODM document that nobody asked for; the rest stays as it is, byte for byte.

OpenClinica selects events for one participant at a time only, and forms by an OID that no metadata show
(docs/protocol.md, clinical data). So everything is retrieved, and this is where the selection is made:

    select(chunks, Selection.of(event="SE_VISIT[2],SE_AE", form="F_LABS"))    the document, chunk by chunk

Participants without such an event stay, and so do events without such a form, as in what the server selects.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.parsers import expat

from airflow_provider_openclinica.errors import ConfigurationError, FileError
from airflow_provider_openclinica.odm.names import ODM, OPENCLINICA_FAMILY, split_name
from airflow_provider_openclinica.odm.parser import TOKEN_LIMIT, TOO_LONG

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EVERYTHING = "*"
EVENT, FORM = f"{ODM} StudyEventData", f"{ODM} FormData"
_EVENT = re.compile(r"(?P<oid>[^\s,\[\]*]+)(?:\[(?P<ordinal>[1-9][0-9]*)\])?")
_FORM = re.compile(r"[^\s,\[\]*]+")
_BROKEN = (
    "OpenClinica writes some names without escaping them: an item group, user or query status with '<' or a quotation "
    "mark in its name breaks its export. Rename it there; or pull without event and form, which reads no tags."
)


@dataclass(frozen=True, slots=True)
class Selection:
    """What to keep.

    :param events: OID and repeat key of each event, ``""`` for all its occurrences; nothing: every event.
    :param forms: OIDs of forms, as the metadata have them; nothing: every form.
    :param archived: keep events that were removed or archived, too: asked for by name, the server gives them unasked.
    """

    events: frozenset[tuple[str, str]] = frozenset()
    forms: frozenset[str] = frozenset()
    archived: bool = True

    @classmethod
    def of(cls, event: str = EVERYTHING, form: str = EVERYTHING, *, archived: bool = True) -> Selection:
        """Read selectors as people write them.

        :param event: ``*``, or OIDs divided by commas, ``SE_VISIT[2]`` for one occurrence.
        :param form: ``*``, or OIDs divided by commas.
        :raises ConfigurationError: one is neither.
        """
        events = [_read(_EVENT, selector, "event") for selector in _listed(event)]
        forms = [_read(_FORM, selector, "form") for selector in _listed(form)]
        return cls(
            frozenset((found["oid"], found["ordinal"] or "") for found in events),
            frozenset(found[0] for found in forms),
            archived,
        )

    @property
    def is_everything(self) -> bool:
        """Whether every event and every form is kept."""
        return not self.events and not self.forms

    def keeps(self, name: str, attributes: dict[str, str]) -> bool:
        """Tell whether an element stays, by its name and its attributes as expat gives them."""
        if name == FORM:
            return not self.forms or attributes.get("FormOID", "") in self.forms
        if name != EVENT or not self.events:
            return True
        oid, key = attributes.get("StudyEventOID", ""), attributes.get("StudyEventRepeatKey", "1")
        if self.events.isdisjoint({(oid, ""), (oid, key)}):
            return False
        return self.archived or not _is_gone(attributes)


def _listed(selector: str) -> list[str]:
    return [] if selector.strip() == EVERYTHING else selector.split(",")


def _read(pattern: re.Pattern[str], selector: str, name: str) -> re.Match[str]:
    if found := pattern.fullmatch(selector.strip()):
        return found
    raise ConfigurationError(
        f"The selector {name} is neither * nor a list of OIDs",
        next_step="Write OIDs as in the study's metadata, divided by commas; an event may be SE_VISIT[2].",
    )


def _is_gone(attributes: dict[str, str]) -> bool:
    """Tell whether an event was removed or archived; the attributes may be in any namespace of OpenClinica."""
    for name, value in attributes.items():
        namespace, local = split_name(name)
        if value == "Yes" and local in ("Removed", "Archived") and namespace.startswith(OPENCLINICA_FAMILY):
            return True
    return False


def select(chunks: Iterable[bytes], selection: Selection) -> Iterator[bytes]:
    """Yield a document without what the selection does not keep. Memory does not grow with it.

    :param chunks: ODM 1.3 in UTF-8, without an encoding declared, as ``repair.mend`` yields it.
    :raises FileError: the XML is broken; what came before the break has been yielded.
    """
    cutter = _Cutter(selection)
    for chunk in chunks:
        yield from cutter.take(chunk)
    yield from cutter.end()


class _Cutter:
    """Copies bytes by the places at which expat finds tags.

    ``_buffer`` holds the document from byte ``_start`` on; what is before ``_from`` is out or dropped. Where a dropped
    element ends is only known at whatever follows it: until then, all handlers wait for that.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._buffer, self._start, self._from = b"", 0, 0
        self._kept: list[bytes] = []
        self._depth = 0  # of elements open within what is dropped, itself included
        self._is_ending = False
        self._parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        self._parser.StartElementHandler = self._begin_element
        self._parser.EndElementHandler = self._end_element
        self._parser.StartDoctypeDeclHandler = _refuse_doctype

    def take(self, chunk: bytes) -> list[bytes]:
        """Read on, and give what is surely kept."""
        self._buffer += chunk
        self._parse(chunk, is_final=False)
        read = max(self._parser.CurrentByteIndex, self._start)
        if not self._depth and not self._is_ending:
            self._keep_until(read)
        if self._start + len(self._buffer) - read > TOKEN_LIMIT:
            raise FileError(f"The document cannot be read: {TOO_LONG}")
        self._buffer, self._start = self._buffer[read - self._start :], read
        return self._given()

    def end(self) -> list[bytes]:
        """Read to the end, and give the rest."""
        self._parse(b"", is_final=True)
        self._keep_until(self._start + len(self._buffer))
        return self._given()

    def _given(self) -> list[bytes]:
        kept, self._kept = self._kept, []
        return kept

    def _parse(self, chunk: bytes, *, is_final: bool) -> None:
        try:
            self._parser.Parse(chunk, is_final)
        except expat.ExpatError as error:  # not chained: a traceback may quote the document
            raise FileError(
                f"Events or forms cannot be selected, line {error.lineno}: the XML is broken, "
                f"{expat.ErrorString(error.code)}",
                next_step=_BROKEN,
            ) from None

    def _keep_until(self, end: int) -> None:
        if end > self._from:
            self._kept.append(self._buffer[self._from - self._start : end - self._start])
            self._from = end

    def _begin_element(self, name: str, attributes: dict[str, str]) -> None:
        if self._is_ending:
            self._go_on()
        if self._depth:
            self._depth += 1
        elif name in (EVENT, FORM) and not self._selection.keeps(name, attributes):
            self._keep_until(self._parser.CurrentByteIndex)
            self._depth = 1

    def _end_element(self, _name: str) -> None:
        if self._is_ending:
            self._go_on()
        if self._depth:
            self._depth -= 1
            if not self._depth:
                self._is_ending = True
                self._parser.CharacterDataHandler = self._parser.DefaultHandler = self._go_on

    def _go_on(self, *_: object) -> None:
        """Keep again, from the place that the parser has come to."""
        self._is_ending = False
        self._parser.CharacterDataHandler = self._parser.DefaultHandler = None
        self._from = self._parser.CurrentByteIndex


def _refuse_doctype(*_: object) -> None:
    raise FileError(
        "The document cannot be read: it has a document type declaration (<!DOCTYPE ...>), which is never read",
        next_step="Remove the declaration.",
    )
