"""Studies: what a study consists of, and which sites it has.

    client.studies.metadata(study_oid)    its events, forms, items and choices, as ODM
    client.studies.sites(study_oid)       the OIDs of its sites

OpenClinica has no list of sites for ordinary accounts. They stand in the study's metadata, of which they are a small
part, so the document is read while it arrives and forgotten at once (docs/protocol.md, studies).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from lxml import etree

from airflow_provider_openclinica.client.addresses import api_path
from airflow_provider_openclinica.client.http import XML_UTF8
from airflow_provider_openclinica.client.retrieval import flags, raise_unless_retrieved
from airflow_provider_openclinica.errors import NotFoundError, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_provider_openclinica.client.http import Http, StreamedAnswer

_METADATA_ONLY = flags(metadata=True, data=False)


class Studies:
    """The studies of one OpenClinica."""

    def __init__(self, http: Http) -> None:
        self._http = http

    @contextmanager
    def metadata(self, study_oid: str) -> Iterator[StreamedAnswer]:
        """Ask for a study's metadata; ``with`` holds the connection open while ``chunks()`` hands the document over.

        ODM XML without clinical data, encoded as ``charset`` says; ``odm.metadata`` reads it. At its end, in
        ``AdminData``, stand names of users. Any role in the study will do. The server builds it anew for each call,
        which takes seconds.

        :param study_oid: OID of the study, whose sites it then tells too, or of a site; letter case matters.
        :raises ServerUnavailableError: status 500, also for a study that does not exist.

        docs/protocol.md, studies.
        """
        doing = "the metadata of a study"
        path = api_path("clinicaldata", study_oid, "*", "*", "*")
        with self._http.stream(path, doing=doing, params=_METADATA_ONLY, accept=XML_UTF8, study=study_oid) as streamed:
            raise_unless_retrieved(streamed.answer, doing, study=study_oid)
            yield streamed

    def sites(self, study_oid: str) -> list[str]:
        """List the OIDs of a study's sites, in the order of its metadata; empty for a site.

        Any role in the study will do. The server builds the whole metadata for it, which takes seconds.

        :param study_oid: OID of the study; letter case matters.
        :raises NotFoundError: the answer does not speak of that study.
        :raises ServerUnavailableError: status 500, also for a study that does not exist; or the connection broke.
        :raises UnexpectedAnswerError: what came is no ODM.
        """
        with self.metadata(study_oid) as streamed:
            oids = _study_oids(streamed.chunks(), study_oid)
        sites = [oid for oid in oids if oid.casefold() != study_oid.casefold()]
        if len(sites) == len(oids):
            raise NotFoundError("OpenClinica answered with metadata, and not of this study", study=study_oid)
        return sites


class _StudyOids:
    """Notes the OID of each Study element. lxml builds no tree for a parser that has such a target."""

    def __init__(self) -> None:
        self.found: dict[str, None] = {}  # a set that keeps its order

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "Study" or tag.endswith("}Study"):
            self.found[attributes.get("OID", "")] = None

    def doctype(self, *_: object) -> None:
        raise ValueError("ODM has no DTD; the entities of one would be expanded")

    def close(self) -> None:
        pass


def _study_oids(document: Iterable[bytes], study_oid: str) -> list[str]:
    """Read a document to its end and return the OIDs of its Study elements, each once."""
    oids = _StudyOids()
    parser = etree.XMLParser(  # type: ignore[call-overload]  # the stubs want a method for each kind of node
        target=oids, resolve_entities=False, no_network=True, load_dtd=False
    )
    try:
        for chunk in document:
            parser.feed(chunk)
        parser.close()
    except (etree.XMLSyntaxError, ValueError):  # not chained: it quotes the document
        raise UnexpectedAnswerError("The metadata of a study are not the XML they should be", study=study_oid) from None
    return list(oids.found)
