"""An answer that is being written while it is sent, and nobody reads to its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from starlette.requests import ClientDisconnect

from airflow_provider_openclinica.sandbox.routes_retrieve import CHUNK, Streamed

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import Message


def test_what_writes_a_document_is_ended_as_soon_as_nobody_reads_on() -> None:
    ended = []

    def written() -> Generator[str]:
        try:
            while True:
                yield "x" * CHUNK
        finally:
            ended.append(True)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise ClientDisconnect

    writer = written()  # held, as by whatever the garbage collector has not come to yet
    answer = Streamed(writer, "utf-8", "application/xml")
    with pytest.raises(ClientDisconnect):
        asyncio.run(answer({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send))

    assert ended == [True]
