"""A ZIP goes along only if each of its files is wanted, and no message repeats a file's name."""

from __future__ import annotations

import io
import stat
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest

from airflow_provider_openclinica import odm
from airflow_provider_openclinica.errors import FileError
from tests.odm.documents import ITEM, with_item


def packed(*names: str | ZipInfo) -> io.BytesIO:
    archive = io.BytesIO()
    with ZipFile(archive, "w", ZIP_DEFLATED) as writer:
        for name in names:
            writer.writestr(name, b"image")
    return archive


def naming(*values: str) -> io.BytesIO:
    return with_item(
        "\n".join(ITEM.replace("I_HR", f"I_{number}").replace("72", each) for number, each in enumerate(values))
    )


def link(name: str) -> ZipInfo:
    entry = ZipInfo(name)
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return entry


def encrypted() -> io.BytesIO:
    content = bytearray(packed("scan.png").getvalue())
    content[6] |= 1  # the flag in the file's own header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    return io.BytesIO(bytes(content))


def renamed(old: bytes, new: bytes) -> io.BytesIO:
    """A ZIP whose directory is damaged at the name of its only file."""
    start, directory, end = packed("scän.png").getvalue().partition(b"PK\x01\x02")
    return io.BytesIO(start + directory + end.replace(old, new))


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("scan.png",), id="file"),
        pytest.param(("images/", "images/scan.png"), id="in-a-folder"),
        pytest.param(("a/b/c/scan.png", "r\u00f6ntgen \u4e2d.jpg"), id="deep-and-not-ascii"),
    ],
)
def test_files_that_items_name_are_right(names):
    assert odm.check_attachments(packed(*names), naming("scan.png", "r\u00f6ntgen \u4e2d.jpg", "36.6")) == []


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        pytest.param(io.BytesIO(b"%PDF-1.7"), "the attachments are no ZIP", id="no-zip"),
        pytest.param(io.BytesIO(b""), "the attachments are no ZIP", id="empty-file"),
        pytest.param(io.BytesIO(packed("scan.png").getvalue()[:-10]), "no ZIP, or a damaged one", id="truncated"),
        pytest.param(renamed("ä".encode(), b"\xff\xff"), "no ZIP, or a damaged one", id="name-that-is-no-utf-8"),
        pytest.param(packed(), "holds no file", id="empty-zip"),
        pytest.param(packed("images/"), "holds no file", id="only-a-folder"),
        pytest.param(packed("scan.png", "Ann Lee.png"), "entry 2 of the ZIP is named by no item's Value", id="unnamed"),
        pytest.param(packed("scan.png", "__MACOSX/._scan.png"), "entry 2 of the ZIP is named by no", id="macos"),
        pytest.param(packed("../scan.png"), "entry 1 of the ZIP has a path that could leave its folder", id="dots"),
        pytest.param(packed("a/../../scan.png"), "could leave its folder", id="dots-inside"),
        pytest.param(packed("/etc/scan.png"), "could leave its folder", id="absolute"),
        pytest.param(packed("C:/scan.png"), "could leave its folder", id="drive"),
        pytest.param(packed(link("scan.png")), "entry 1 of the ZIP is a link", id="link"),
        pytest.param(encrypted(), "entry 1 of the ZIP is encrypted", id="encrypted"),
    ],
)
def test_each_fault_is_told_by_the_number_of_the_entry(archive, words):
    (problem,) = odm.check_attachments(archive, naming("scan.png"))
    assert words in problem.reason
    assert "Ann" not in str(problem)
    assert problem.severity == "error"


def test_an_entry_without_a_name_is_no_crash():
    problems = odm.check_attachments(renamed("scän".encode(), b"\0cxan"), naming("scan.png"))
    assert any("could leave its folder" in problem.reason for problem in problems)


def test_backslashes_could_be_a_path():
    problems = odm.check_attachments(packed("..\\scan.png"), naming("scan.png"))
    assert any("could leave its folder" in problem.reason for problem in problems)


def test_two_files_of_one_name_are_refused_in_any_folders():
    problems = odm.check_attachments(packed("a/scan.png", "b/scan.png"), naming("scan.png"))
    assert [str(problem) for problem in problems] == [
        "entry 1 of the ZIP has the name of another one. Rename one of them",
        "entry 2 of the ZIP has the name of another one. Rename one of them",
    ]


def test_a_value_without_a_file_is_for_the_server_to_judge():
    assert odm.check_attachments(packed("scan.png"), naming("scan.png", "missing.png")) == []


def test_a_broken_document_hides_no_fault_of_the_zip_and_invents_none():
    broken = io.BytesIO(naming("scan.png").getvalue()[:300])
    problems = odm.check_attachments(packed("scan.png", "/x.png"), broken)
    assert [str(problem)[:16] for problem in problems] == ["entry 2 of the Z"]


def test_a_document_that_cannot_be_opened_raises(tmp_path):
    with pytest.raises(FileError):
        odm.check_attachments(packed("scan.png"), tmp_path / "missing.xml")
