"""Say in plain English what OpenClinica's error codes mean, and which error each of them is.

A code comes as ``errorCode.x``, ``error.x`` or ``errorcode.x``, in any letter case, under the name the vendor documents
or the one the server's source has (docs/protocol.md, codes). ``code_table`` lists them; here they are found again.

    reduced(code)   prefix, letter case and what follows the code dropped: how two spellings are compared
    look_up(code)   the row of the table, or None: servers newer than the table know more codes
    meaning(code)   its meaning, or "" for a code nobody here has seen
"""

from __future__ import annotations

import re

from airflow_provider_openclinica.client.code_table import CODES, Code

#: A code as a server writes it. What stands behind a second dot is no part of it: it may name a user's file.
TOKEN = re.compile(r"(?P<prefix>error(?:code)?\.)(?P<name>[a-z0-9_'()-]{1,80})(?P<rest>\..*)?", re.IGNORECASE)


def reduced(code: str) -> str:
    """Drop prefix, letter case and what follows it: ``errorCode.missingItemFile.a.png`` -> ``missingitemfile``."""
    token = TOKEN.fullmatch(code.strip())
    return (token["name"] if token else code.strip().partition(".")[0]).casefold()


_BY_SPELLING: dict[str, Code] = {reduced(spelling): code for code in CODES for spelling in (code.name, *code.aliases)}


def look_up(code: str) -> Code | None:
    """Find a code in the catalogue.

    :param code: in any spelling and letter case, with or without its prefix.
    """
    return _BY_SPELLING.get(reduced(code))


def meaning(code: str) -> str:
    """Say what a code means, as a phrase without full stop; ``""`` where nobody here knows."""
    known = look_up(code)
    return known.meaning if known else ""
