"""Read the tables that are published in a folder: what they are, and which participants they hold.

read_tables(files, folder)            what ``_manifest.json`` says
local_copy(files, table, folder)      a table's Parquet on this machine, its digest compared
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.engine.increments import Covers
from airflow_provider_openclinica.engine.rowkeys import WIDE_PREFIX
from airflow_provider_openclinica.engine.tables import WIDE
from airflow_provider_openclinica.engine.tableset import CHUNK, MANIFEST, OURS, WRITTEN_AS
from airflow_provider_openclinica.errors import FileError, FileUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airflow_provider_openclinica.engine.files import Files

PARTICIPANTS = "participants"
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTable:
    """A table of a set.

    :param name: as in docs/tables.md: ``items``, ``item_group=IG_X``.
    :param uri: of its only part.
    """

    name: str
    uri: str
    rows: int
    sha256: str
    columns: tuple[str, ...]

    @property
    def is_wide(self) -> bool:
        """It is that of an item group."""
        return self.name.startswith(WIDE_PREFIX)

    @property
    def family(self) -> str:
        """What it is called where tables are chosen: its name, or ``wide`` for that of any item group."""
        return WIDE if self.is_wide else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTables:
    """A set of tables.

    :param folder: ends in ``/``.
    :param study_oid: of the study that was pulled; None where files were read and none was named.
    :param covers: None where nobody knows: the tables were made of plain files, or nobody was found.
    :param sha256: of the manifest, which has that of each table: two sets of the same digest are the same.
    :param tables: those that say something: an empty file stands for a table of ``left_out``, too.
    :param left_out: tables that the pull did not ask for; None where nobody knows.
    """

    folder: str
    format: str
    study_oid: str | None
    covers: Covers | None
    sha256: str
    tables: tuple[PublishedTable, ...]
    left_out: frozenset[str] | None

    def table(self, name: str) -> PublishedTable | None:
        """Return the table of a name; None if the set has none."""
        return next((table for table in self.tables if table.name == name), None)


def read_tables(files: Files, folder: str) -> PublishedTables:
    """Return the tables that are published in a folder.

    :param folder: with or without ``/`` behind it.
    :raises FileUnavailableError: there are none, or they cannot be read.
    :raises FileError: the manifest is one of something else; or the tables are not in Parquet, and no other format
        says of which type a column is.
    """
    folder = f"{folder.rstrip('/')}/"
    try:
        with files.open(folder + MANIFEST) as file:
            stored = file.read()
    except FileUnavailableError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise FileUnavailableError(
                f"There are no tables in {folder}", next_step="Let OpenClinicaToTablesOperator make them before."
            ) from error
        raise
    try:
        found = _tables_in(folder, stored)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FileError(
            f"{folder}{MANIFEST} is no manifest of tables",
            next_step="Name the folder that has the tables, and no other.",
        ) from None
    if found.format != "parquet":
        raise FileError(
            f"The tables in {folder} are in the format {found.format}",
            next_step="Make them with format='parquet': in no other format is it known of which type a column is.",
        )
    return found


def _tables_in(folder: str, stored: bytes) -> PublishedTables:
    kept = json.loads(stored)
    if kept["written_as"] != WRITTEN_AS:
        raise ValueError("a manifest of another form")
    covers, left_out = kept.get("covers"), kept.get("left_out")
    tables = tuple(_table(folder, entry) for entry in kept["tables"])
    return PublishedTables(
        folder=folder,
        format=str(kept["format"]),
        study_oid=kept.get("study_oid"),
        covers=None if covers is None else Covers.from_json(covers),
        sha256=hashlib.sha256(stored).hexdigest(),
        tables=tuple(table for table in tables if table.name not in (left_out or ())),
        left_out=None if left_out is None else frozenset(left_out),
    )


def _table(folder: str, entry: Mapping[str, Any]) -> PublishedTable:
    if not OURS.fullmatch(entry["file"]) or not DIGEST.fullmatch(entry["sha256"]):
        raise ValueError("not a name of ours")
    return PublishedTable(
        name=str(entry["table"]),
        uri=folder + entry["file"],
        rows=int(entry["rows"]),
        sha256=entry["sha256"],
        columns=tuple(map(str, entry["columns"])),
    )


def local_copy(files: Files, table: PublishedTable, folder: Path) -> Path:
    """Copy a table to this machine, and return its file.

    :param folder: on this machine; the file's name in it comes from its digest.
    :raises FileUnavailableError: it cannot be read, or is another one by now: tables were published meanwhile.
    """
    path, digest = folder / f"{table.sha256[:16]}.parquet", hashlib.sha256()
    with files.open(table.uri) as source, path.open("wb") as target:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            target.write(chunk)
    if digest.hexdigest() != table.sha256:
        path.unlink()
        raise FileUnavailableError(
            f"{table.uri} is not what the manifest names",
            next_step="A retry helps where tables were just being published; else make them anew.",
        )
    return path
