"""Which study and which site in ClinOne is which in OpenClinica (docs/clinone.md, identifiers).

An organisation gives its studies and sites identifiers of its own, which ClinOne passes on as ``studyIdentifier`` and
``siteIdentifier``. No call is published that would look them up, so people keep two lists:

    {"studies": {"S_JUNO": "JUNO-2026"}, "sites": {"S_BOSTON": "001", "S_LEIDEN": "002"}}

One OID has one identifier and one identifier one OID; anything else would send a person's data to the wrong place.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_openclinica.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STUDY, SITE = "studyIdentifier", "siteIdentifier"  #: what ClinOne calls them
_KINDS = {"studies": STUDY, "sites": SITE}
_NEXT = "Complete the lists that the connection calls identifiers."


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Two lists that were checked. Make it with :meth:`read`.

    :param studies: OID of a study in OpenClinica -> ``studyIdentifier`` in ClinOne.
    :param sites: OID of a site -> ``siteIdentifier``.
    """

    studies: Mapping[str, str] = field(default_factory=dict)
    sites: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, written: object) -> Self:
        """Check what a person wrote.

        :param written: an object with ``studies`` and ``sites``, or one of them; or JSON text of it.
        :raises ConfigurationError: it is none, or an OID or an identifier is empty or there twice.
        """
        if isinstance(written, str | bytes):
            written = _parsed(written)
        if not isinstance(written, dict) or not written.keys() <= _KINDS.keys():
            raise ConfigurationError("identifiers is not an object with studies and sites in it")
        return cls(**{kind: _checked(kind, written.get(kind) or {}) for kind in _KINDS})

    def of(self, study_oid: str, site_oid: str | None = None) -> dict[str, str]:
        """Return the identifiers by the names that ClinOne gives them; where to put them, a caller has to know.

        :raises ConfigurationError: one of them is not in the lists.
        """
        self.check(studies=[study_oid], sites=[site_oid] if site_oid else [])
        found = {STUDY: self.studies[study_oid]}
        return found | {SITE: self.sites[site_oid]} if site_oid else found

    def study_oid(self, study_identifier: str) -> str:
        """Return the OID of the study in OpenClinica.

        :raises ConfigurationError: the identifier is not in the list.
        """
        return _reversed(self.studies, study_identifier, STUDY)

    def site_oid(self, site_identifier: str) -> str:
        """Return the OID of the site in OpenClinica.

        :raises ConfigurationError: the identifier is not in the list.
        """
        return _reversed(self.sites, site_identifier, SITE)

    def check(self, *, studies: Iterable[str] = (), sites: Iterable[str] = ()) -> None:
        """See that all of these OIDs have an identifier: before the first request, rather than at the one that fails.

        :raises ConfigurationError: some have none; it names them all.
        """
        lacking = [
            f"{name} of {', '.join(missing)}"
            for name, known, wanted in ((STUDY, self.studies, studies), (SITE, self.sites, sites))
            if (missing := [oid for oid in wanted if oid not in known])
        ]
        if lacking:
            raise ConfigurationError(f"The connection does not tell the {' and the '.join(lacking)}", next_step=_NEXT)


def _parsed(text: str | bytes) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        _refuse_twice([key for key, _ in pairs], "stands twice in identifiers")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise ConfigurationError("identifiers is not JSON") from None


def _checked(kind: str, written: object) -> dict[str, str]:
    """See that a list is one to one."""
    if not isinstance(written, dict):
        raise ConfigurationError(f"{kind} in identifiers is not an object of OIDs and identifiers")
    for oid, identifier in written.items():
        if not isinstance(identifier, str) or not identifier.strip() or not oid.strip():
            raise ConfigurationError(
                f"{kind} in identifiers has an empty name, or an identifier that is no text",
                next_step='Write identifiers in quotes, numbers too: "001".',
            )
    _refuse_twice(list(written.values()), f"is the {_KINDS[kind]} of two OIDs")
    return dict(written)


def _refuse_twice(names: list[str], what: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigurationError(f"{twice[0]} {what}")


def _reversed(known: Mapping[str, str], identifier: str, name: str) -> str:
    for oid, one in known.items():
        if one == identifier:
            return oid
    raise ConfigurationError(f"The connection does not tell which OID has the {name} {identifier}", next_step=_NEXT)
