"""How uploads are read: parts, names, sizes, attachments."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_openclinica.sandbox import multipart
from tests.sandbox.calls import is_html, odm, post_raw, raw_part
from tests.sandbox.imports import element, event, form, subject
from tests.sandbox.imports import odm as written


@pytest.mark.parametrize(
    ("filename", "kept"),
    [
        ("odm.xml", "odm.xml"),
        (r"C:\labs\night\odm.xml", "odm.xml"),
        ("labs/night/odm.xml", "odm.xml"),
        ("  odm.xml  ", "odm.xml"),
        ("=?utf-8?Q?M=C3=BCnchen?=.xml", "München.xml"),
        ("=?utf-8?B?TcO8bmNoZW4ueG1s?=", "München.xml"),
        ("=?klingon?Q?x?=.xml", "=?klingon?Q?x?=.xml"),
        ("odm%20night.xml", "odm%20night.xml"),
        ("ö.xml", "ö.xml"),
    ],
)
def test_a_job_keeps_the_name_of_its_file_as_the_server_cuts_and_decodes_it(manager, filename, kept):
    answer = post_raw(manager, raw_part(f'name="file"; filename="{filename}"', odm()))
    assert answer.status_code == 200, answer.text
    assert [job["sourceFileName"] for job in manager.sandbox.jobs()] == [kept]


def test_a_name_of_255_characters_fits_and_a_longer_one_fails_before_there_is_a_job(manager):
    assert manager.submit(name="x" * 251 + ".xml").status_code == 200
    answer = manager.submit(name="x" * 252 + ".xml")
    assert (answer.status_code, is_html(answer)) == (500, True)
    assert len(manager.sandbox.jobs()) == 1


@pytest.mark.parametrize(
    ("disposition", "status"),
    [
        pytest.param('name="file"', 400, id="no-filename"),
        pytest.param("name=\"file\"; filename*=UTF-8''odm.xml", 400, id="only-the-extended-filename"),
        pytest.param('name="document"; filename="odm.xml"', 400, id="another-field"),
        pytest.param('name="File"; filename="odm.xml"', 400, id="another-case"),
        pytest.param('name="file"; filename=""', 415, id="an-empty-filename"),
        pytest.param('name="file"; filename="odm.XML"', 415, id="a-suffix-in-capitals"),
        pytest.param('name="file"; filename="odm.csv"', 415, id="another-suffix"),
        pytest.param('name="file"; filename="odm.xml"', 200, id="as-it-should-be"),
        pytest.param("name=file; filename=odm.xml", 200, id="without-quotes"),
        pytest.param('name="file"; filename*=UTF-8\'\'odm.csv; filename="odm.xml"', 200, id="both-filenames"),
    ],
)
def test_only_a_part_called_file_with_a_filename_is_a_file(manager, disposition, status):
    answer = post_raw(manager, raw_part(disposition, odm()))
    assert answer.status_code == status
    if status == 400:
        assert is_html(answer)
    if status == 415:
        assert answer.text == "errorCode.fileFormatNotSupported"


@pytest.mark.parametrize("content_type", ["application/xml", "multipart/form-data", "text/plain"])
def test_what_is_no_multipart_request_fails(manager, content_type):
    answer = manager.call("POST", manager.import_path, data=odm(), headers={"Content-Type": content_type})
    assert (answer.status_code, is_html(answer)) == (500, True)


def test_a_broken_multipart_request_fails(manager):
    assert post_raw(manager, b"--other\r\nnonsense").status_code == 500


@pytest.mark.parametrize("streamed", [False, True], ids=["announced", "found-out"])
def test_a_request_above_the_limit_of_two_gibibytes_fails(manager, monkeypatch, streamed):
    assert multipart.LIMIT == 2 << 30
    monkeypatch.setattr(multipart, "LIMIT", 10_000)
    body = raw_part('name="file"; filename="odm.xml"', b" " * 10_000)
    headers = {"Content-Type": "multipart/form-data; boundary=limit"}
    data = iter([body[:5000], body[5000:]]) if streamed else body
    answer = manager.call("POST", manager.import_path, data=data, headers=headers)
    assert (answer.status_code, is_html(answer)) == (500, True)


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("zips", "docs"),
    [([zipped("f/a.pdf")], 200), ([b"no zip"], 415), ([zipped("a"), zipped("b")], 400)],
    ids=["one", "no-zip", "two"],
)
def test_attachments_are_read_where_documented_and_ignored_in_the_source(manager, zips, docs):
    files = [("file", ("odm.xml", odm())), *(("attachedFilesZip", ("a.zip", content)) for content in zips)]
    answer = manager.call("POST", manager.import_path, files=files)
    assert answer.status_code == (docs if manager.is_docs else 200)


@pytest.mark.parametrize(
    ("value", "files", "docs"),
    [
        pytest.param("trace.png", ["folder/trace.png"], (200, "job uuid"), id="in-the-zip"),
        pytest.param("trace.png", ["other.png"], (400, "errorCode.missingItemFile.trace.png"), id="not-in-it"),
        pytest.param("trace.png", None, (400, "errorCode.missingItemFile.trace.png"), id="no-zip"),
        pytest.param("", None, (200, "job uuid"), id="no-value"),
    ],
)
def test_a_file_that_is_not_in_the_zip_is_refused_before_there_is_a_job(manager, value, files, docs):
    trace = element("ItemData", ItemOID="I_ECG_TRACE", Value=value)
    ecg = form(element("ItemGroupData", trace, ItemGroupOID="IG_ECG_MAIN"), oid="F_ECG")
    document = written(subject(event(ecg, oid="SE_BASELINE"))).encode()
    uploads = [("file", ("odm.xml", document))]
    uploads += [("attachedFilesZip", ("a.zip", zipped(*files)))] if files else []
    answer = manager.call("POST", manager.import_path, files=uploads)
    status, text = docs if manager.is_docs else (200, "job uuid")
    assert (answer.status_code, answer.text.partition(":")[0]) == (status, text)
    assert len(manager.sandbox.jobs()) == (status == 200)


def test_uploads_are_measured_and_hashed_as_they_arrive(manager):
    content = bytes(range(256)) * 40_000
    files = {"attachedFilesZip": ("a.zip", content), "file": ("odm.csv", odm())}
    manager.call("POST", manager.import_path, files=files)
    arrived = manager.sandbox.requests()[-1]["files"]
    assert [(file["field"], file["name"], file["bytes"], file["sha256"]) for file in arrived] == [
        ("attachedFilesZip", "a.zip", len(content), hashlib.sha256(content).hexdigest()),
        ("file", "odm.csv", len(odm()), hashlib.sha256(odm()).hexdigest()),
    ]


# For any name and any file


@given(st.text())
def test_a_kept_name_has_no_folder_and_survives_being_read_again(filename):
    kept = multipart.kept_name(filename)
    assert not re.search(r"[/\\]", kept)
    if "=?" not in filename:
        assert filename.rstrip().endswith(kept)


@given(st.text(st.characters(exclude_characters='"\\', exclude_categories=["Cc", "Cs"])))
def test_a_quoted_parameter_is_read_as_it_was_written(value):
    written = f'form-data; name="file"; filename="{value}"'.encode()
    assert multipart.parameters(written) == {"name": "file", "filename": value}


@given(content=st.binary(max_size=300), cuts=st.lists(st.integers(0, 500), max_size=6))
def test_a_file_is_the_same_however_the_network_cuts_it(content, cuts):
    body = raw_part('name="file"; filename="odm.xml"', content)
    form = multipart.Form()
    reader = multipart.Reader(form, b"limit", {"file": ".xml"})
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, end in pairwise(edges):
        if start < end:
            reader.write(body[start:end])
    assert [(part.filename, part.read(), part.size) for part in form.parts] == [("odm.xml", content, len(content))]
