"""What ClinOne answers. Nothing is known of its shape, so it is JSON or bytes, and never quoted: it may hold data."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests
from requests.structures import CaseInsensitiveDict

from airflow_provider_openclinica.errors import (
    AmbiguousSubmitError,
    OpenClinicaError,
    ServerUnavailableError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CHUNK = 256 << 10


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer.

    :param status: HTTP status, below 300.
    :param headers: found in any letter case.
    :param content: the body.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """The body read as JSON; None where it is empty.

        :raises UnexpectedAnswerError: it is no JSON.
        """
        if not self.content.strip():
            return None
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            raise UnexpectedAnswerError(
                "ClinOne answered with something else than JSON",
                status=self.status,
                next_step="Store it with output_uri to see what it is.",
            ) from None


class StreamedReply:
    """An answer that is being read. It owns the session that it came by.

    :param response: the answer, its body unread.
    :param session: closed with it.
    :param repeatable: whether the request may be sent again; else a reply that breaks off says that it was lost.
    """

    def __init__(self, response: requests.Response, session: requests.Session, *, repeatable: bool) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = CaseInsensitiveDict(response.headers)
        self._response, self._repeatable = response, repeatable
        self._open = ExitStack()
        self._open.callback(session.close)
        self._open.callback(response.close)

    @property
    def is_page(self) -> bool:
        """Is it a page for people? Those come from a log-in form or a gateway."""
        return "text/html" in self.headers.get("Content-Type", "").casefold()

    def chunks(self) -> Iterator[bytes]:
        """Yield the body. Good for one use.

        :raises ServerUnavailableError: it broke off; the request may be repeated.
        :raises AmbiguousSubmitError: it broke off, and the request may not be repeated: what it did is done.
        """
        try:
            yield from self._response.iter_content(_CHUNK)
        except requests.RequestException:
            raise self._broken() from None

    def read(self, most: int) -> bytes:
        """Return the whole body.

        :param most: bytes.
        :raises UnexpectedAnswerError: there is more, and the request may be repeated.
        :raises AmbiguousSubmitError: there is more, and it may not.
        :raises OpenClinicaError: as `chunks` does.
        """
        content = bytearray()
        for chunk in self.chunks():
            content += chunk
            if len(content) > most:
                raise self._too_much(f"ClinOne answered with more than {most >> 20} MiB, too much for memory")
        return bytes(content)

    def close(self) -> None:
        """Close the connection."""
        self._open.close()

    def _broken(self) -> OpenClinicaError:
        what = "The connection broke in the middle of ClinOne's reply"
        return ServerUnavailableError(what, status=self.status) if self._repeatable else self._taken(what)

    def _too_much(self, what: str) -> OpenClinicaError:
        if not self._repeatable:
            return self._taken(what)
        return UnexpectedAnswerError(what, status=self.status, next_step="Store the reply with output_uri.")

    def _taken(self, what: str) -> AmbiguousSubmitError:
        return AmbiguousSubmitError(
            what,
            status=self.status,
            meaning="the request was taken",
            next_step="Look in ClinOne what it did. Clearing the task sends it again.",
        )
