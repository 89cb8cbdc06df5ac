"""The sites of a study, read out of its metadata."""

from __future__ import annotations

import tracemalloc

import pytest

from airflow_provider_openclinica.errors import NotFoundError, ServerUnavailableError, UnexpectedAnswerError
from tests.client.conftest import answer, drop_after_reading, response

ODM = '<?xml version="1.0" encoding="UTF-8"?>\n<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3">{}</ODM>'


def metadata(*oids: str, inside: str = "<MetaDataVersion/>") -> str:
    return ODM.format("".join(f'<Study OID="{oid}">{inside}</Study>' for oid in oids))


def test_metadata_are_streamed_with_their_charset(client, wire):
    document = metadata("S_JUNO", inside='<MetaDataVersion Name="ä"/>').encode("latin-1")
    wire.will(answer(200, document, Content_Type="application/xml;charset=ISO-8859-1"))
    with client.studies.metadata("S_JUNO") as streamed:
        assert (streamed.charset, b"".join(streamed.chunks())) == ("iso-8859-1", document)


def test_sites_are_the_studies_in_the_metadata_that_are_not_the_study_itself(client, wire):
    wire.will(answer(200, metadata("S_JUNO", "S_BOSTON", "S_LEIDEN", "S_BOSTON"), Content_Type="application/xml"))
    assert client.studies.sites("S_JUNO") == ["S_BOSTON", "S_LEIDEN"]
    path, _, query = wire.requests[0].path.partition("?")
    assert path.endswith("/clinicaldata/S_JUNO/*/*/*")
    assert {"includeMetadata=y", "clinicaldata=n", "clinicalData=n", "includeDNs=n"} <= set(query.split("&"))
    assert wire.requests[0].headers["Accept"] == "application/xml;charset=UTF-8"


@pytest.mark.parametrize("oids", [("S_JUNO",), ("s_juno",)])
def test_a_study_without_sites_has_none(client, wire, oids):
    wire.will(answer(200, metadata(*oids)))
    assert client.studies.sites("S_JUNO") == []


def test_the_prefix_of_the_namespace_does_not_matter(client, wire):
    wire.will(answer(200, '<o:ODM xmlns:o="x"><o:Study OID="S_JUNO"/><o:Study OID="S_BOSTON"/></o:ODM>'))
    assert client.studies.sites("S_JUNO") == ["S_BOSTON"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        pytest.param(answer(200, ODM.format("")), NotFoundError, id="no-study"),
        pytest.param(answer(200, metadata("S_OTHER")), NotFoundError, id="another-study"),
        pytest.param(answer(200, "Ann Lee"), UnexpectedAnswerError, id="text"),
        pytest.param(answer(200, ""), UnexpectedAnswerError, id="nothing"),
        pytest.param(answer(200, metadata("S_JUNO")[:-9]), UnexpectedAnswerError, id="cut-off"),
        pytest.param(answer(500, "<html>"), ServerUnavailableError, id="no-such-study-or-down"),
        pytest.param(drop_after_reading, ServerUnavailableError, id="dropped"),
    ],
)
def test_metadata_that_cannot_be_had_are_an_error_that_quotes_nothing(client, wire, reply, error):
    wire.will(*[reply] * 5)
    with pytest.raises(error) as caught:
        client.studies.sites("S_JUNO")
    assert "Ann" not in str(caught.value)


def test_a_download_that_breaks_off_makes_no_short_list_of_sites(client, wire):
    def break_off(peer):
        peer.read()
        peer.send(response(200, metadata("S_JUNO", inside="x" * 600_000)[:-20], Content_Length="999999"))
        peer.close()

    wire.will(*[break_off] * 5)
    with pytest.raises(ServerUnavailableError, match="in the middle of the metadata"):
        client.studies.sites("S_JUNO")


def test_a_document_with_entities_of_its_own_is_not_read(client, wire, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("<Study OID='S_SECRET'/>")
    document = (
        f'<!DOCTYPE ODM [<!ENTITY site "<Study OID=\'S_ENTITY\'/>"><!ENTITY file SYSTEM "file://{secret}">]>'
        '<ODM><Study OID="S_JUNO"/>&site;&file;</ODM>'
    )
    wire.will(answer(200, document))
    with pytest.raises(UnexpectedAnswerError):
        client.studies.sites("S_JUNO")


def test_a_study_that_is_not_there_may_be_what_500_means(client, wire):
    wire.will(answer(500, "<html>"))
    with pytest.raises(ServerUnavailableError, match="a study or a participant that it does not have"):
        client.studies.sites("S_NONE")


def test_memory_does_not_grow_with_the_metadata(client, wire):
    items = '<ItemDef OID="I_1" Name="heart rate"><Question><TranslatedText>?</TranslatedText></Question></ItemDef>\n'
    begin, end = metadata("S_JUNO", inside="|").split("|")

    def long(peer):
        peer.read()
        peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + begin.encode())
        for _ in range(200):
            peer.send(items.encode() * 1000)
        peer.send(end.encode())
        peer.close()

    wire.will(long)
    tracemalloc.start()
    assert client.studies.sites("S_JUNO") == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
