from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from airflow_provider_openclinica.errors import FileError
from airflow_provider_openclinica.odm.parser import TOKEN_LIMIT
from airflow_provider_openclinica.odm.repair import Repairs, clean, mend
from tests.odm.exports import TEXT, referenced

if TYPE_CHECKING:
    from collections.abc import Iterator

PROLOG = '<?xml version="1.0" encoding="UTF-8"?>\n'


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    """Cut bytes into chunks, some of them empty."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return (data[start:end] for start, end in itertools.pairwise(places))


def mended(data: bytes, *cuts: int) -> tuple[bytes, dict[str, int]]:
    repairs = Repairs()
    return b"".join(mend(pieces(data, list(cuts)), repairs)), repairs.counts()


@pytest.mark.parametrize(
    ("written", "read", "counts"),
    [
        pytest.param(b"&#55357;&#56832;", b"&#128512;", {"surrogate_pairs": 1}, id="a-pair-in-decimals"),
        pytest.param(b"&#xD83D;&#xde00;", b"&#128512;", {"surrogate_pairs": 1}, id="a-pair-in-hexadecimals"),
        pytest.param(b"&#55357;&#56832;" * 2, b"&#128512;" * 2, {"surrogate_pairs": 2}, id="two-pairs"),
        pytest.param(b"&#233;&#55357;&#56832;", b"&#233;&#128512;", {"surrogate_pairs": 1}, id="after-a-good-one"),
        pytest.param(b"&#55357; &#56832;", b"&#65533; &#65533;", {"illegal_characters": 2}, id="a-blank-between"),
        pytest.param(b"&#56832;&#55357;", b"&#65533;&#65533;", {"illegal_characters": 2}, id="the-wrong-way-round"),
        pytest.param(
            b"&#55357;&#55357;&#56832;",
            b"&#65533;&#128512;",
            {"surrogate_pairs": 1, "illegal_characters": 1},
            id="one-alone-before-a-pair",
        ),
        pytest.param(b"a&#1;b", b"a&#65533;b", {"illegal_characters": 1}, id="a-control-character"),
        pytest.param(b"&#x0;&#xFFFF;&#1114112;", b"&#65533;" * 3, {"illegal_characters": 3}, id="no-characters"),
        pytest.param(b"a\x0bb\x1f", "a\ufffdb\ufffd".encode(), {"illegal_characters": 2}, id="control-characters-raw"),
        pytest.param(
            "\ufffe\uffff".encode(), "\ufffd\ufffd".encode(), {"illegal_characters": 2}, id="no-characters-raw"
        ),
        pytest.param("\t\n\r\x7f\ufffd\uffee".encode(), "\t\n\r\x7f\ufffd\uffee".encode(), {}, id="raw-and-left"),
        pytest.param(b"&#9;&#10;&#xD;", b"&#9;&#10;&#xD;", {}, id="white-space-is-left"),
        pytest.param(b"&#233;&lt;&amp;&#x10FFFF;", b"&#233;&lt;&amp;&#x10FFFF;", {}, id="good-references-are-left"),
        pytest.param(b"A & B", b"A &amp; B", {"bare_ampersands": 1}, id="a-bare-ampersand"),
        pytest.param(b"&&", b"&amp;&amp;", {"bare_ampersands": 2}, id="two-bare-ampersands"),
        pytest.param(b"&nbsp;&#;", b"&amp;nbsp;&amp;#;", {"bare_ampersands": 2}, id="what-is-no-reference"),
        pytest.param(b"&amp;#55357;", b"&amp;#55357;", {}, id="an-escaped-reference-is-text"),
    ],
)
@pytest.mark.parametrize("around", [b'<a b="%s"/>', b"<a>%s</a>", b'<a b=">%s>"/>'])
def test_what_no_parser_takes_is_mended_and_counted(
    written: bytes, read: bytes, counts: dict[str, int], around: bytes
) -> None:
    assert mended(around % written) == (around % read, counts)
    etree.fromstring(around % read)


def test_nothing_in_a_cdata_section_is_a_reference() -> None:
    text = b"<a>&#1;<![CDATA[a & b > c &#55357; ]]>&#1;<![CDATA[&]]></a>"
    for cut in range(len(text)):
        assert mended(text, cut) == (text.replace(b"&#1;", b"&#65533;"), {"illegal_characters": 2})


@given(TEXT, st.lists(st.integers(0, 1000), max_size=4))
def test_whatever_java_writes_comes_back_wherever_the_chunks_are_cut(text: str, cuts: list[int]) -> None:
    document, counts = mended(f'<a b="{referenced(text)}"/>'.encode(), *cuts)
    assert etree.fromstring(document).get("b") == text
    assert counts.get("surrogate_pairs", 0) == sum(character > "\uffff" for character in text)


@given(
    st.text(alphabet="&#;x0123456789dDa<>[]!CDAT ltgampquo", max_size=60),
    st.lists(st.integers(0, 100), min_size=1, max_size=6),
)
def test_chunks_make_no_difference(text: str, cuts: list[int]) -> None:
    assert mended(text.encode(), *cuts) == mended(text.encode())


def test_a_tag_without_end_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(FileError, match="4 MiB"):
        list(mend((b"<a" * (1 << 16) for _ in range(100)), Repairs()))
    assert b"".join(mend([b">" + b"a" * (TOKEN_LIMIT - 1)], Repairs())).startswith(b">a")


# -- encodings


def cleaned(data: bytes, charset: str = "") -> tuple[str, str]:
    repairs = Repairs()
    return b"".join(clean(io.BytesIO(data), charset, repairs)).decode(), repairs.encoding


LATE = "é".rjust(200_000)


@pytest.mark.parametrize(
    ("data", "charset", "text", "encoding"),
    [
        pytest.param((PROLOG + "é").encode(), "UTF-8", "é", "utf-8", id="as-it-says"),
        pytest.param((PROLOG + "é").encode("latin-1"), "ISO-8859-1", "é", "iso8859-1", id="the-header-overrules"),
        pytest.param((PROLOG + "é").encode("latin-1"), "", "é", "iso8859-1", id="the-prolog-is-wrong"),
        pytest.param((PROLOG + "é").encode(), "", "é", "utf-8", id="the-prolog-is-right"),
        pytest.param(
            (PROLOG + "Ã©").encode("latin-1"), "latin1", "Ã©", "iso8859-1", id="latin-1-that-looks-like-utf-8"
        ),
        pytest.param((PROLOG + LATE).encode("latin-1"), "", LATE, "iso8859-1", id="told-late"),
        pytest.param((PROLOG + "日" + LATE).encode(), "", "日" + LATE, "utf-8", id="utf-8-to-the-end"),
        pytest.param((PROLOG + "Ã©" + LATE).encode("latin-1"), "", "Ã©" + LATE, "iso8859-1", id="latin-1-in-the-end"),
        pytest.param(b"plain", "", "plain", "utf-8", id="ascii"),
        pytest.param(b'<?xml version="1.0" encoding="US-ASCII"?>\n&#233;', "", "&#233;", "utf-8", id="us-ascii"),
        pytest.param(
            '<?xml version="1.0" encoding="windows-1252"?>\n€'.encode("cp1252"), "", "€", "cp1252", id="cp1252"
        ),
        pytest.param("<?xml version='1.0' encoding='utf8'?>\né".encode(), "", "é", "utf-8", id="as-python-spells-it"),
        pytest.param(("\ufeff" + PROLOG + "é").encode(), "", "é", "utf-8", id="marked-utf-8"),
        pytest.param(("\ufeff" + PROLOG + "é").encode(), "utf-8", "é", "utf-8", id="marked-and-said"),
        pytest.param(("\ufeff" + PROLOG + "é").encode("utf-16-le"), "", "é", "utf-16-le", id="utf-16-le"),
        pytest.param(("\ufeff" + PROLOG + "é").encode("utf-16-be"), "", "é", "utf-16-be", id="utf-16-be"),
        pytest.param((PROLOG + "é").encode("utf-16"), "utf-16", "é", "utf-16", id="utf-16-said-and-marked"),
    ],
)
def test_the_encoding_is_the_one_that_the_bytes_are_in(data: bytes, charset: str, text: str, encoding: str) -> None:
    assert cleaned(data, charset) == (text if text == "plain" else "\n" + text, encoding)


@pytest.mark.parametrize(
    ("data", "charset"),
    [
        pytest.param((PROLOG + "é").encode("latin-1"), "utf-8", id="not-what-the-header-says"),
        pytest.param((PROLOG + "é").encode("latin-1"), "us-ascii", id="beyond-ascii"),
        pytest.param(b"<a/>", "no-such-charset", id="an-unknown-charset"),
        pytest.param(b"<a/>", "rot13", id="no-charset-at-all"),
        pytest.param(b'<?xml version="1.0" encoding="x-private"?><a/>', "", id="an-unknown-declaration"),
        pytest.param(b"\xff\xfe<\x00\x00\xd8", "", id="a-broken-character"),
    ],
)
def test_what_is_in_no_known_encoding_is_refused_and_not_quoted(data: bytes, charset: str) -> None:
    with pytest.raises(FileError, match=r"encoding|not in") as caught:
        cleaned(data, charset)
    assert "é" not in str(caught.value)


def test_a_stream_that_changes_its_mind_is_refused() -> None:
    chunks = [PROLOG.encode() + "é".encode(), b" " * 5000, b"\xe9 "]
    with pytest.raises(FileError, match="first characters"):
        list(clean(iter(chunks), "", Repairs()))
    assert b"".join(clean(iter([PROLOG.encode(), b" " * 5000, b"\xe9 "]), "", Repairs())).strip() == "é".encode()


@given(TEXT, st.sampled_from(["utf-8", "iso-8859-1", "utf-16"]), st.lists(st.integers(0, 500), max_size=4))
def test_a_text_comes_back_from_its_charset_wherever_it_is_cut(text: str, charset: str, cuts: list[int]) -> None:
    data = (PROLOG + text).encode(charset, "replace")
    found = b"".join(clean(pieces(data, cuts), charset, Repairs()))
    assert found.decode() == "\n" + data.decode(charset)[len(PROLOG) :]
