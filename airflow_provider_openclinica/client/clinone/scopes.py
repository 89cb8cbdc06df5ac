"""What a token lets its client do, as far as that is known: advice, never a verdict (docs/clinone.md, scopes).

A scope has three parts: the word ``api``, a function group, an action. Which sign stands between them is not published,
and neither are the groups; so scopes are cut at any sign, and a caller names the group. What a token says is read and
not verified: the server alone decides.

    scopes_in(token)                             what was granted
    missing(scopes, "patient", "POST")           what seems to be lacking, in words; "" where nothing, or nobody knows
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_openclinica.client.token_request import claims_of

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Action -> the methods it allows. The vendor's table names no others.
ACTIONS = {
    "read": frozenset({"GET"}),
    "write": frozenset({"GET", "PUT", "POST"}),
    "delete": frozenset({"GET", "DELETE"}),
    "manage": frozenset({"GET", "PUT", "POST", "DELETE"}),
}
_SIGNS = re.compile(r"[._\-:/\s]+")


class Scope(NamedTuple):
    """A scope that could be read."""

    group: str
    action: str


def scopes_in(token: str) -> tuple[str, ...]:
    """Return the scopes of a token, spelled as they came; none where it does not say, or is no JWT."""
    claims = claims_of(token)
    found: list[str] = []
    for claim in (claims.get("scp"), claims.get("roles")):
        if isinstance(claim, str):
            found += claim.split()
        elif isinstance(claim, list):
            found += [scope for scope in claim if isinstance(scope, str)]
    return tuple(dict.fromkeys(found))


def read_scope(written: str) -> Scope | None:
    """Read a scope; None for one that is not of these three parts."""
    words = [word for word in _SIGNS.split(written.casefold()) if word]
    if "api" not in words or words[-1] not in ACTIONS:
        return None
    group = "".join(words[words.index("api") + 1 : -1])
    return Scope(group, words[-1]) if group else None


def missing(scopes: Iterable[str], function_group: str, method: str) -> str:
    """Say what a method seems to lack.

    :param scopes: those of a token.
    :param function_group: the group that the path belongs to; ``""``: nobody knows.
    :param method: of the request.
    :return: advice, without a full stop; ``""`` where the method is allowed, or nothing can be said.
    """
    known = [scope for scope in map(read_scope, scopes) if scope]
    methods = {method for allowed in ACTIONS.values() for method in allowed}
    group = "".join(_SIGNS.split(function_group.casefold()))
    if not known or not group or method not in methods:
        return ""
    granted = sorted({scope.action for scope in known if scope.group == group})
    if any(method in ACTIONS[action] for action in granted):
        return ""
    has = f"the token has {' and '.join(granted)} there" if granted else "the token has no scope there"
    wanted = " or ".join(action for action, allowed in ACTIONS.items() if method in allowed)
    return f"{method} in the function group {function_group} takes the action {wanted}, and {has}"
