"""Store what is being retrieved, while more of it comes.

    store(chunks, file)    written to the file, counted and hashed

A thread of its own writes and hashes. Both go on without Python's lock, so a second core can do them; and where a place
is slow to take a block, such as an object store, the server goes on sending meanwhile. Blocks are large because the
thread has to wait for that lock, for up to 5 ms, before each.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCK_BYTES = 4 << 20  #: three are in memory at most: one being written, one that waits, and the chunks it was made of


@dataclass(frozen=True, slots=True)
class Stored:
    """What was written.

    :param size: in bytes.
    """

    size: int
    sha256: str


def store(chunks: Iterable[bytes], file: BinaryIO, *, block_bytes: int = BLOCK_BYTES) -> Stored:
    """Write chunks to a file, in blocks. When it returns or raises, nothing is being written any more.

    :param block_bytes: the least that is written at once, but for the last block.
    :raises Exception: what the file raises, one block later; what the chunks raise, at once.
    """
    size, digest = 0, hashlib.sha256()

    def write(block: bytes) -> None:
        file.write(block)
        digest.update(block)

    with ThreadPoolExecutor(1, thread_name_prefix="openclinica-store") as beside:
        written: Future[None] | None = None
        for block in _blocks(chunks, block_bytes):
            if written:
                written.result()
            written = beside.submit(write, block)
            size += len(block)
        if written:
            written.result()
    return Stored(size, digest.hexdigest())


def _blocks(chunks: Iterable[bytes], least: int) -> Iterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    for chunk in chunks:
        gathered.append(chunk)
        size += len(chunk)
        if size >= least:
            yield b"".join(gathered)
            gathered.clear()
            size = 0
    if gathered:
        yield b"".join(gathered)
