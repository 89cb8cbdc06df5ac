"""A request that somebody else signs (docs/clinone.md, signing).

ClinOne's published environment has names for HMAC keys, and no word on how a request would be signed. So there is no
algorithm here: a connection may name a function of the user's, which gets the prepared request and both keys, and
returns the headers to add. One of them may be ``Authorization``, which then stands instead of the token.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from requests import PreparedRequest
from requests.utils import check_header_validity

from airflow_provider_openclinica.client.transport import Bearer
from airflow_provider_openclinica.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.clinone.settings import ClinOneSettings

Signer = Callable[[PreparedRequest, str, str], Mapping[str, str]]  #: request, client key, secret key -> headers


class Signed(Bearer):
    """Put the token on a request, then what the signer adds: it sees the request as it will be sent."""

    def __init__(self, token: str, signer: Signer | None, settings: ClinOneSettings) -> None:
        super().__init__(token)
        self._signer, self._settings = signer, settings

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the headers, as requests asks of an ``auth``."""
        request = super().__call__(request)
        if self._signer is None:
            return request
        try:
            added = self._signer(request, self._settings.hmac_client_key, self._settings.hmac_secret_key)
            for header in added.items():
                check_header_validity(header)
            request.headers.update(added)
        except Exception as error:  # noqa: BLE001  # a user's function; what it says may hold a key
            raise ConfigurationError(
                f"The signer {self._settings.signer} raised {type(error).__name__}, or returned what are no headers",
                next_step="It is called with the prepared request, the client key and the secret key, and returns a "
                "dict of headers. Nothing was sent.",
            ) from None
        return request


def load_signer(dotted: str) -> Signer:
    """Import a signer. Only when a request is made: testing a connection runs no code of a user's.

    :param dotted: ``package.module.function``.
    :raises ConfigurationError: there is no such function here.
    """
    module, _, name = dotted.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        found = None
    if not callable(found):
        raise ConfigurationError(
            f"The signer {dotted} is no function that can be imported here",
            next_step="Name one as package.module.function, installed on every worker.",
        )
    signer: Signer = found
    return signer
