"""Values in quotation marks, as columns of Arrow's: found with numpy, copied and numbered in C.

    quoted = Quoted(text)      where each value begins and ends
    quoted.values(numbers)     some of them
    quoted.between()           what stands between them

Every column is of Arrow's dictionary type: texts that are alike have one number, and Python looks at each text once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[Any]

QUOTE = ord('"')
#: What no value may hold, and blanks that a parser would read as spaces.
ODD = re.compile(rb"[<\t\n\r]")
NAMED = {"lt": "<", "gt": ">", "quot": '"', "apos": "'", "amp": "&"}
REFERENCE = re.compile(rf"&(?:#x([0-9A-Fa-f]+)|#([0-9]+)|({'|'.join(NAMED)}));")  # mended text has no others


class Quoted:
    """Values of attributes in a text.

    :param text: UTF-8, of fewer than 2 GB.
    """

    def __init__(self, text: bytes) -> None:
        quotes = np.flatnonzero(np.frombuffer(text, np.uint8) == QUOTE)
        self.is_even = len(quotes) % 2 == 0
        self._text, self._opening, self._closing = text, quotes[::2], quotes[1::2]

    def __len__(self) -> int:
        return len(self._closing)

    def values(self, numbers: Numbers) -> Any:
        """Return some values, as they are written."""
        return self._slices(self._opening[numbers] + 1, self._closing[numbers], pa.string())

    def between(self) -> Any:
        """Return the texts before, between and behind the values; bytes, one more than there are values."""
        return self._slices(np.append(0, self._closing + 1), np.append(self._opening, len(self._text)), pa.binary())

    def around(self, first: Numbers, last: Numbers, before: Numbers) -> Any:
        """Return texts from some bytes before a value to behind another one's quotation mark."""
        return self._slices(self._opening[first] - before, self._closing[last] + 1, pa.binary())

    def _slices(self, begins: Numbers, ends: Numbers, kind: Any) -> Any:
        """Return parts of the text, in its order: it is cut where they begin and end, and every other piece taken."""
        places = np.empty(2 * len(begins), np.int32)
        places[::2], places[1::2] = begins, ends
        buffers = [None, pa.py_buffer(places), pa.py_buffer(self._text)]
        parts = pa.Array.from_buffers(kind, len(places) - 1, buffers)
        return parts.take(pa.array(np.arange(0, len(places) - 1, 2))).dictionary_encode()


def nothing(count: int) -> Any:
    """Return a column without a text."""
    return pa.DictionaryArray.from_arrays(pa.nulls(count, pa.int32()), pa.array([], pa.string()))


def spread(texts: Any, places: Numbers, count: int) -> Any:
    """Return a column that has texts in some places only."""
    numbers, is_null = np.zeros(count, np.int32), np.ones(count, bool)
    numbers[places], is_null[places] = texts.indices, False
    return pa.DictionaryArray.from_arrays(pa.array(numbers, mask=is_null), texts.dictionary)


def without(texts: Any, places: list[int]) -> Any:
    """Return a column without the texts in some places."""
    is_null = np.zeros(len(texts), bool)
    is_null[places] = True
    numbers = pc.if_else(pa.array(is_null), pa.scalar(None, pa.int32()), texts.indices)
    return pa.DictionaryArray.from_arrays(numbers, texts.dictionary)


def read(texts: Any) -> Any:
    """Return what values mean, references resolved; None if one is not as it may be, or means spaces."""
    written = bytes(texts.dictionary.buffers()[2] or b"")
    if ODD.search(written):
        return None
    if b"&" not in written:
        return texts
    meant = pa.array([REFERENCE.sub(_character, text) for text in texts.dictionary.to_pylist()], pa.string())
    numbered = meant.dictionary_encode()  # two texts may mean the same
    return pa.DictionaryArray.from_arrays(numbered.indices.take(texts.indices), numbered.dictionary)


def _character(reference: re.Match[str]) -> str:
    hexadecimal, decimal, name = reference.groups()
    return NAMED[name] if name else chr(int(hexadecimal, 16) if hexadecimal else int(decimal))
