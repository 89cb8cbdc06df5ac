"""The two accounts of OpenClinica 4 the sandbox can play (docs/protocol.md, sandbox)."""

from __future__ import annotations

from enum import StrEnum


class Dialect(StrEnum):
    """Whose account of OpenClinica 4 is played where the vendor's two accounts differ."""

    DOCS = "docs"
    """The hosted servers, as the vendor's manual and API pages describe them."""

    SOURCE = "source"
    """The server that the published source code builds."""
