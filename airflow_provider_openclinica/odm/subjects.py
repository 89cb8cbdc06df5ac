"""Find the participants of an export, one element at a time, in constant memory, whatever form the export has.

    subjects(source, charset, repairs)    (StudyOID of its ClinicalData, SubjectData element), in document order

XML of OpenClinica 4 and 3 and of other systems, and OpenClinica's JSON, all come out as the same lxml elements. The
element is only good until the next one is asked for. lxml and not expat: all values read through it take 1.6 times a
bare parse, through expat 2.1 times (benchmarks/read_odm.py), and a tree of one participant is much plainer to read.
lxml is imported when a document is read, so that parsing a DAG does not pay for it.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.parsers import expat

from airflow_provider_openclinica.errors import FileError
from airflow_provider_openclinica.odm.jsonexport import subjects_in_json
from airflow_provider_openclinica.odm.names import ODM, split_name
from airflow_provider_openclinica.odm.parser import BLANK, opened
from airflow_provider_openclinica.odm.repair import Repairs, clean, mend
from airflow_provider_openclinica.odm.walker import OF_ODM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lxml import etree

    Source = Path | BinaryIO | Iterable[bytes]

SUBJECT = f"{{{ODM}}}SubjectData"
CLINICAL = f"{{{ODM}}}ClinicalData"
#: Read over and dropped: design, people, reference data.
DROPPED = tuple(f"{{{ODM}}}{name}" for name in ("Study", "AdminData", "ReferenceData", "Association", "AuditRecords"))
#: Of every parser: nothing is fetched or expanded, and what says nothing of a participant is left out.
PARSER: Any = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "remove_comments": True,
    "remove_pis": True,
}

REFUSED_DOCTYPE = "it has a document type declaration (<!DOCTYPE ...>), which is never read"
CUT_OFF = "it ends before its last tag is closed: it was cut off"
#: What libxml2's error numbers mean. Its own words may quote the document.
REASONS = {
    4: CUT_OFF,
    45: CUT_OFF,
    73: CUT_OFF,
    77: CUT_OFF,
    5: "something follows after its end",
    9: "it holds a character that XML cannot hold",
    14: "a character reference names a character that XML cannot hold",
    26: "it uses an entity that is not declared",
    38: "a '<' stands in an attribute, where it has to be written as &lt;",
    42: "an attribute stands twice on one tag",
    76: "a closing tag does not match the tag that is open",
    201: "it uses a prefix that is declared nowhere",
}
#: Those about the end of a document, which no name can break.
AT_THE_END = frozenset({4, 5, 45, 73, 77})
LOOK = "Look at what should have written it."
FETCH_AGAIN = "Fetch it again, or look at what wrote it."
WRITTEN_BADLY = (
    "OpenClinica itself writes some names without escaping them: an item group, user or query status with '<' or a "
    "quotation mark in its name breaks its export. Rename it there, or leave out audits and queries."
)


def subjects(
    source: Source, *, charset: str = "", repairs: Repairs | None = None
) -> Iterator[tuple[str, etree._Element]]:
    """Yield each participant with the StudyOID of the ClinicalData that holds it.

    :param source: a path, an open file, or anything that yields bytes, such as an answer that is being received.
    :param charset: of the ``Content-Type`` header; empty when there is none, as for a file.
    :param repairs: is told what had to be mended, as it happens.
    :raises FileError: it is no ODM 1.3, or is broken; what came before the break has been yielded.
    """
    repairs = Repairs() if repairs is None else repairs
    if isinstance(source, Path):
        with opened(source) as stream:
            yield from subjects(stream, charset=charset, repairs=repairs)
        return
    head, chunks = peeked(clean(source, charset, repairs))
    if head.startswith(b"{"):
        yield from subjects_in_json(chunks, repairs)
    else:
        yield from subjects_in_xml(rooted(mend(chunks, repairs)))


def peeked(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the beginning of a document without leading blanks, and all of its chunks.

    :raises FileError: it is empty, or neither XML nor JSON.
    """
    read = []
    for chunk in chunks:
        read.append(chunk)
        if head := chunk.lstrip(BLANK):
            if not head.startswith((b"<", b"{")):
                raise FileError("The document cannot be read: it is not XML, nor OpenClinica's JSON", next_step=LOOK)
            return head, itertools.chain(read, chunks)
    raise FileError("The document is empty", next_step=LOOK)


def rooted(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Read as far as the root element, see that it is ODM 1.3, and yield all chunks.

    :raises FileError: it is something else, or has a document type declaration.
    """
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    roots: list[tuple[str, dict[str, str]]] = []
    parser.StartElementHandler = lambda name, attributes: roots.append((name, attributes))

    def refuse(*_: object) -> None:
        raise FileError(f"The document cannot be read: {REFUSED_DOCTYPE}", next_step="Remove the declaration.")

    parser.StartDoctypeDeclHandler = refuse
    read = []
    for chunk in chunks:
        read.append(chunk)
        try:
            parser.Parse(chunk, False)
        except expat.ExpatError:
            if not roots:  # else lxml will find the same further on, after all that can be read
                raise broken(0, parser.ErrorLineNumber) from None
        if roots:
            break
    if roots:
        refuse_other_than_odm(*roots[0])
    return itertools.chain(read, chunks)


def refuse_other_than_odm(name: str, attributes: dict[str, str]) -> None:
    """Raise unless a root element is ODM in the namespace of 1.3.

    :param name: ``namespace local``.
    """
    namespace, local = split_name(name)
    found = OF_ODM.fullmatch(namespace)
    version = found[1] if found else attributes.get("ODMVersion", "") if not namespace else ""
    if local == "ODM" and namespace == ODM:
        return
    if local == "ODM" and re.fullmatch(r"\d{1,3}(\.\d{1,3}){0,3}", version):
        what = f"it is ODM {version}, and only ODM 1.3 is read"
    elif local == "ODM":
        what = f'its ODM element is not in the namespace of ODM 1.3, xmlns="{ODM}"'
    else:
        what = "its root element is not ODM"
    raise FileError(f"The document cannot be read: {what}", next_step="Export or convert it as CDISC ODM 1.3.")


def broken(code: int, line: int) -> FileError:
    """Say that XML is not well-formed, without quoting it."""
    reason = REASONS.get(code, f"the XML is broken (libxml2 error {code})" if code else "the XML is broken")
    next_step = FETCH_AGAIN if code in AT_THE_END else WRITTEN_BADLY
    return FileError(f"The document cannot be read, line {line}: {reason}", next_step=next_step)


def subjects_in_xml(chunks: Iterable[bytes]) -> Iterator[tuple[str, etree._Element]]:
    """Yield each participant with the StudyOID of the ClinicalData that holds it; see ``subjects``.

    :param chunks: UTF-8, as ``mend`` leaves it, of a document that is ODM.
    """
    for element in ends_of(chunks, SUBJECT, CLINICAL, *DROPPED):
        parent = element.getparent()
        if element.tag == SUBJECT and parent is not None:
            yield parent.get("StudyOID", ""), element


def ends_of(chunks: Iterable[bytes], *tags: str) -> Iterator[etree._Element]:
    """Yield each element that has one of these tags when it is complete; it is dropped when the next is asked for.

    :raises FileError: the XML is broken.
    """
    from lxml import etree

    parser = etree.XMLPullParser(events=("end",), tag=tags, **PARSER)
    try:
        for chunk in chunks:
            parser.feed(chunk)
            for _, element in parser.read_events():
                yield element
                element.clear()
                parent = element.getparent()
                if parent is not None:
                    del parent[: parent.index(element)]  # those before; the parser still builds upon the element itself
        parser.close()
    except etree.XMLSyntaxError as error:
        raise broken(error.code or 0, error.lineno or 0) from None
