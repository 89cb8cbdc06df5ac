"""Names in a database for tables and columns that are called by OIDs.

    table_name("item_group=IG_VITALS_MAIN")    item_group_ig_vitals_main
    column_names(["I_X", "I_X_text"])          {"I_X": "i_x", "I_X_text": "i_x_text"}

All are lower case, digits and ``_``, so they can be written without quotes, and hardly any database takes them for
something else. A name depends on nothing but what it stands for, so it is the same in every load and every database.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from airflow_provider_openclinica.errors import ConfigurationError, FileError

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 63  #: bytes that PostgreSQL keeps of a name
OTHER = re.compile(r"[^a-z0-9_]")
#: Columns that each table of PostgreSQL has, so that no other one may be called so.
TAKEN = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
PREFIX = re.compile(r"[a-z_][a-z0-9_]{0,29}")
SUFFIXES = len("_participant")  #: bytes that are left for what is derived from a table's name


def table_name(table: str, prefix: str = "") -> str:
    """Return what a table is called in the database.

    What a name may not hold becomes ``_``, and then a digest is put behind it, so that it stays different from others;
    so is the end of a name that is too long.
    """
    kind, equals, oid = table.partition("=")
    return _legal(f"{kind}_{oid}" if equals else table, table, LONGEST - SUFFIXES - len(prefix), prefix)


def column_names(columns: Iterable[str]) -> dict[str, str]:
    """Return what each column is called in the database; one that cannot be called so gets a digest behind its name.

    :raises FileError: two of them would have the same name.
    """
    names = {column: _legal(column, column, LONGEST) for column in columns}
    if len(set(names.values())) < len(names):
        raise FileError("Two columns differ in nothing that a database would tell apart", next_step="Rename an item.")
    return names


def checked_prefix(prefix: str) -> str:
    """Return what all names of tables begin with.

    :raises ConfigurationError: a name may not begin so, or it is longer than 30 characters.
    """
    if prefix and not PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            "table_prefix is not made of up to 30 lower-case letters, digits and _, the first one no digit"
        )
    return prefix


def quoted(*names: str) -> str:
    """Return a name as SQL; several ones with points between them."""
    return ".".join('"{}"'.format(name.replace('"', '""')) for name in names if name)


def listed(names: Iterable[str]) -> str:
    """Return names as SQL, with commas between them."""
    return ", ".join(map(quoted, names))


def _legal(readable: str, whole: str, longest: int, prefix: str = "") -> str:
    name = OTHER.sub("_", readable.lower())
    if len(name) > longest or name != readable.lower() or name[:1].isdigit() or name in TAKEN:
        digest = hashlib.sha256(whole.casefold().encode()).hexdigest()[:8]
        name = f"{'_' if name[:1].isdigit() and not prefix else ''}{name[: longest - 10]}_{digest}"
    return prefix + name
