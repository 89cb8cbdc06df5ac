"""SQL for DuckDB that finds what has changed in a table: see ``engine.changes``, which runs it step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_openclinica.engine.rowkeys import ORDINAL, OWN_KEYS, keys_of, numbered
from airflow_provider_openclinica.odm.flattener import DATES

if TYPE_CHECKING:
    from collections.abc import Iterator

INSERTED, CHANGED, REMOVED = "inserted", "changed", "removed"
#: Columns that say of a row which one it is; null where its table has no such.
PLACE = (
    *("study_oid", "subject_key", "participant_id", "study_event_oid", "study_event_repeat_key"),
    *("form_oid", "form_repeat_key", "item_group_oid", "item_group_repeat_key", "item_oid"),
)
#: What a row repeats of something above it, and the table that it is compared in.
REPEATED = {"participant_id": "participants", "form_layout_oid": "forms"}


class ChangesQuery:
    """The SQL that compares a table, which lies in the views ``old`` and ``new``.

    :param before: column -> type, as DuckDB calls it.
    """

    def __init__(self, name: str, before: dict[str, str], after: dict[str, str]) -> None:
        self._name = name
        self._keys = keys_of(name)
        self._sides = {"old": before, "new": after}
        passed = {*self._keys, *(column for column, table in REPEATED.items() if table != name)}
        passed |= {f"{column}_parsed" for column in DATES.get(name, ())}
        self._compared = [column for column in dict.fromkeys([*after, *before]) if column not in passed]
        #: What is added up and joined together: a participant, or a form of the codebook.
        self.group = "subject_key" if "subject_key" in self._keys else "form_oid"

    def differing(self, cells_at_once: int) -> str:
        """Make the table ``differing``: participants whose rows are not the same ones, and when to look at them."""
        rows_at_once = max(1, cells_at_once // max(1, len(self._compared)))
        return f"""
            CREATE OR REPLACE TEMP TABLE differing AS
            WITH old_digests AS ({self._digests("old")}), new_digests AS ({self._digests("new")})
            SELECT
                coalesce(o.part_of, n.part_of) AS part_of,
                sum(coalesce(o.rows_in, 0) + coalesce(n.rows_in, 0)) OVER (
                    ORDER BY coalesce(o.part_of, n.part_of) ROWS UNBOUNDED PRECEDING
                ) // {rows_at_once} AS piece
            FROM old_digests o FULL OUTER JOIN new_digests n ON o.part_of = n.part_of
            WHERE o.digest IS DISTINCT FROM n.digest OR o.rows_in IS DISTINCT FROM n.rows_in
        """  # noqa: S608 - names of columns, quoted

    def _digests(self, side: str) -> str:
        """Sum a 64-bit hash of each row, which takes them in any order."""
        group = _quoted(self.group)
        return f"""
            SELECT r.{group} AS part_of, count(*) AS rows_in, sum({self._hash_of_row(side)}::HUGEINT) AS digest
            FROM {side} AS r GROUP BY r.{group}
        """  # noqa: S608 - names of columns, quoted

    def apart(self) -> str:
        """Make the table ``apart``: the hashes of those rows of a piece that are not on both sides."""
        old, new = (
            f"SELECT {self._hash_of_keys()} AS of_keys, {self._hash_of_row(side)} AS of_row, {count} AS times"  # noqa: S608
            f" FROM ({self._piece(side)}) AS r"
            for side, count in (("old", 1), ("new", -1))
        )
        return f"""
            CREATE OR REPLACE TEMP TABLE apart AS
            SELECT of_keys, of_row FROM ({old} UNION ALL {new}) GROUP BY of_keys, of_row HAVING sum(times) <> 0
        """  # noqa: S608 - names of columns, quoted

    def _hash_of_keys(self) -> str:
        return f"hash({', '.join(f'r.{_quoted(key)}' for key in self._keys)})"

    def _hash_of_row(self, side: str) -> str:
        """Hash a row of the relation ``r``. That it changes and its hash does not, happens once in 2^64 times."""
        cells = [f"r.{_quoted(key)}" for key in self._keys]
        cells += [self._cell(side, column, "r") for column in self._compared]
        # Twice, since hashes of several cells are joined by exclusive or: where two rows exchange the last of them, the
        # sum of what came of it once would be the same far too often.
        return f"hash(hash({', '.join(cells)}))"

    def _piece(self, side: str) -> str:
        within = "(SELECT part_of FROM differing WHERE piece = $1)"
        return f"SELECT * FROM {side} WHERE {_quoted(self.group)} IN {within}"  # noqa: S608 - names, quoted

    def changes(self) -> str:
        """Return what selects the changes of a piece, in an order that depends on nothing but them."""
        on = " AND ".join(f"o.{key} IS NOT DISTINCT FROM n.{key}" for key in map(_quoted, [*self._keys, ORDINAL]))
        pairs = [(self._cell("old", column, "o"), self._cell("new", column, "n")) for column in self._compared]
        cells = ", ".join(
            f"{{'name': {sql_text(column)}, 'old': {old}, 'new': {new}}}"
            for column, (old, new) in zip(self._compared, pairs, strict=True)
        )
        whole = "NULL::VARCHAR", "NULL::VARCHAR", "NULL::VARCHAR"
        if self._name == "items":
            whole = "'value'", "o.value", "n.value"
        return f"""
            WITH o AS ({self._numbered("old")}), n AS ({self._numbered("new")}),
            joined AS (
                SELECT
                    CASE WHEN o.{ORDINAL} IS NULL THEN '{INSERTED}' WHEN n.{ORDINAL} IS NULL THEN '{REMOVED}'
                        ELSE '{CHANGED}' END AS change,
                    {", ".join(self._place())},
                    coalesce(n.{ORDINAL}, o.{ORDINAL}) AS ordinal,
                    CASE WHEN o.{ORDINAL} IS NULL OR n.{ORDINAL} IS NULL
                        THEN [{{'name': {whole[0]}, 'old': {whole[1]}, 'new': {whole[2]}}}]
                        ELSE [{cells}] END AS cells
                FROM o FULL OUTER JOIN n ON {on}
                WHERE o.{ORDINAL} IS NULL OR n.{ORDINAL} IS NULL
                    OR {" OR ".join(f"{old} IS DISTINCT FROM {new}" for old, new in pairs)}
            ),
            told AS (SELECT * EXCLUDE (cells), unnest(cells) AS cell FROM joined)
            SELECT {sql_text(self._name)}, * EXCLUDE (cell), cell.name, cell.old, cell.new
            FROM told WHERE change <> '{CHANGED}' OR cell.old IS DISTINCT FROM cell.new
            ORDER BY ALL
        """  # noqa: S608 - names of columns, quoted

    def _numbered(self, side: str) -> str:
        """Return the rows of a piece that are apart, with their ordinal."""
        same = f"apart.of_keys = {self._hash_of_keys()} AND apart.of_row = {self._hash_of_row(side)}"
        rows = f"SELECT r.* FROM ({self._piece(side)}) AS r SEMI JOIN apart ON {same}"  # noqa: S608 - names, quoted
        return numbered(f"({rows})", self._name, list(self._sides[side]))

    def _place(self) -> Iterator[str]:
        """Yield the columns that say which row it is."""
        there = {*self._keys, *(REPEATED if self.group == "subject_key" else ())}  # an item, too, may be called so
        for name in PLACE:
            yield f"coalesce(n.{name}, o.{name}) AS {name}" if name in there else f"NULL::VARCHAR AS {name}"
        own = [f"coalesce(n.{key}, o.{key})" for key in map(_quoted, OWN_KEYS.get(self._name, ()))]
        # DN_1/CDN_2; of a thread without notes DN_1, of a note whose thread has no ID /CDN_2
        parts = ", '/' || ".join(own)
        yield f"nullif(concat({parts}), '') AS record_id" if own else "NULL::VARCHAR AS record_id"

    def _cell(self, side: str, column: str, alias: str) -> str:
        """Return a cell as text; null where that side has no such column."""
        kind = self._sides[side].get(column)
        cell = f"{alias}.{_quoted(column)}"
        if kind is None:
            return "NULL::VARCHAR"
        if kind == "VARCHAR":
            return cell
        if {"BIGINT", "DOUBLE"} == {known.get(column) for known in self._sides.values()}:
            cell += "::DOUBLE"  # an integer of one version may be a float of the next: 72 is no other value than 72.0
        text = f"{cell}::VARCHAR"
        return f"replace({text}, ' ', 'T')" if kind.startswith("TIMESTAMP") else text


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def sql_text(text: str) -> str:
    """Return a text as SQL."""
    return "'{}'".format(text.replace("'", "''"))
