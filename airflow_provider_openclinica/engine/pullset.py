"""A set: the files of one pull in a folder, and the manifest that makes them one.

A pull in pieces takes long, and any of its requests may fail. So each piece is stored as soon as it is there, under a
name that no other pull has, and ``manifest.json`` is written last. Readers go by the manifest, so they see a whole pull
or the one before. Then what that one had is removed.

    read_manifest(files, folder)       the set that is published there, or None
    publish(files, folder, manifest)   let a set take the place of the one before
    Progress                           what a retry of the task has to know

The manifest names no participant; the progress file does, and is removed once the manifest is there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_openclinica.engine.increments import Covers
from airflow_provider_openclinica.engine.pieces import Fetched, Piece
from airflow_provider_openclinica.errors import FileError, FileUnavailableError
from airflow_provider_openclinica.odm.tally import ELEMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_openclinica.engine.files import PrivateFiles

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
WRITTEN_AS = "openclinica-pull-1"  #: what a manifest of this form calls itself
OURS = re.compile(r"[0-9]{4,}\.[0-9a-f]{16}\.(xml|json)")  #: names that this module gives, so that it may remove them


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFile:
    """A file of a set.

    :param name: in the folder.
    :param holds: ``study``, ``site``, ``participant`` or ``metadata``.
    :param study_oid: of the study or the site that was asked for.
    """

    name: str
    holds: str
    study_oid: str
    fetched: Fetched

    def to_json(self) -> dict[str, Any]:
        """Return it as a manifest has it."""
        return {"name": self.name, "holds": self.holds, "study_oid": self.study_oid, **asdict(self.fetched)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> SetFile:
        """Read what ``to_json`` gave.

        :raises ValueError: the name is none of ours, and might lead elsewhere.
        """
        if not OURS.fullmatch(kept["name"]):
            raise ValueError("not a name of ours")
        own = {name: kept[name] for name in ("name", "holds", "study_oid")}
        fetched = {name: kept[name] for name in ("size", "sha256", "counts", "repairs", "encoding")}
        return cls(**own, fetched=Fetched(**fetched))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a set consists of.

    :param tag: names the task and the request that made it; part of every file name.
    :param format: ``xml`` or ``json``.
    :param study_oid: the study that was asked for.
    :param files: in order: metadata first, then sites as the study has them, participants as OpenClinica lists them.
    :param covers: whose data it holds; None where it holds a single participant's, or nobody's, or that was not noted.
    :param replaces: names of files of the set before, which this one's task removes.
    :param left_out: tables that this set says nothing about, since nobody asked for what they are made of: ``queries``,
        ``audit``. None: that was not noted.
    """

    tag: str
    format: str
    study_oid: str
    files: tuple[SetFile, ...]
    covers: Covers | None = None
    replaces: tuple[str, ...] = ()
    left_out: tuple[str, ...] | None = None

    @property
    def total(self) -> Fetched:
        """What is known of all files together; the digest is that of the manifest, which has theirs."""
        each = [file.fetched for file in self.files]
        return Fetched(
            size=sum(fetched.size for fetched in each),
            sha256=hashlib.sha256(self.to_bytes()).hexdigest(),
            counts=_summed([dict.fromkeys(ELEMENTS, 0), *(fetched.counts for fetched in each)]),
            repairs=_summed(fetched.repairs for fetched in each),
            encoding=", ".join(sorted({fetched.encoding for fetched in each})),
        )

    def to_bytes(self) -> bytes:
        """Return it as it is stored."""
        written = {
            "written_as": WRITTEN_AS,
            "tag": self.tag,
            "format": self.format,
            "study_oid": self.study_oid,
            "covers": self.covers.to_json() if self.covers else None,
            "files": [file.to_json() for file in self.files],
            "replaces": list(self.replaces),
            "left_out": self.left_out,
        }
        return json.dumps(written, indent=1).encode()

    @classmethod
    def from_bytes(cls, stored: bytes) -> Manifest:
        """Read what ``to_bytes`` gave.

        :raises ValueError: it is something else.
        """
        try:
            kept = json.loads(stored)
            if kept["written_as"] != WRITTEN_AS:
                raise ValueError("a manifest of another form")
            files = tuple(SetFile.from_json(file) for file in kept["files"])
            own = {name: kept[name] for name in ("tag", "format", "study_oid")}
            covers = Covers.from_json(kept["covers"]) if kept.get("covers") else None
            left_out = None if kept.get("left_out") is None else tuple(kept["left_out"])
            return cls(**own, files=files, covers=covers, replaces=tuple(kept["replaces"]), left_out=left_out)
        except (KeyError, TypeError) as error:
            raise ValueError("no manifest") from error


def _summed(counted: Iterable[Mapping[str, int]]) -> dict[str, int]:
    summed: Counter[str] = Counter()
    for counts in counted:
        summed.update(counts)
    return dict(summed)


def read_manifest(files: PrivateFiles, folder: str) -> Manifest | None:
    """Return the set that is published in a folder; None where there is no manifest.

    :param folder: ends in ``/``.
    :raises FileError: there is a ``manifest.json`` of something else.
    :raises FileUnavailableError: it cannot be read.
    """
    stored = _read(files, folder + MANIFEST)
    if stored is None:
        return None
    try:
        return Manifest.from_bytes(stored)
    except ValueError:
        raise FileError(
            f"{folder}{MANIFEST} is the manifest of something else",
            next_step="Use a folder of its own for the pull.",
        ) from None


def publish(files: PrivateFiles, folder: str, manifest: Manifest) -> None:
    """Let a set take the place of the one before. Its files are all there."""
    with files.create(folder + MANIFEST, private=True) as file:
        file.write(manifest.to_bytes())
    clear_up(files, folder, manifest)


def clear_up(files: PrivateFiles, folder: str, manifest: Manifest) -> None:
    """Remove what a published set has replaced, and its own progress file; a place that forbids it is no failure."""
    try:
        for name in (*filter(OURS.fullmatch, manifest.replaces), progress_name(manifest.tag)):
            files.remove(folder + name)
    except FileUnavailableError as error:
        log.warning("The new set is published, and something of the one before stays: %s", error.args[0])


def progress_name(tag: str) -> str:
    """Return the name of the file that says how far a pull has come."""
    return f"_progress.{tag}.json"


@dataclass(slots=True)
class Progress:
    """How far a pull has come: kept in the folder itself, so that a retry finds it on every Airflow.

    :param done: each piece that is stored, and its file.
    :param cut: what was too much for one request, and so is pulled in smaller pieces from now on.
    :param covers: what the set will hold, as of the first try: what that has stored was asked for then.
    """

    done: dict[Piece, SetFile] = field(default_factory=dict)
    cut: set[Piece] = field(default_factory=set)
    covers: Covers | None = None

    @classmethod
    def read(cls, files: PrivateFiles, folder: str, tag: str) -> Progress:
        """Return what an earlier try has left; nothing where there was none, or it cannot be read."""
        try:
            kept = json.loads(_read(files, folder + progress_name(tag)) or b"{}")
            done = {Piece(**each["piece"]): SetFile.from_json(each["file"]) for each in kept.get("done", ())}
            covers = Covers.from_json(kept["covers"]) if kept and kept["covers"] else None
            return cls(done, {Piece(**piece) for piece in kept.get("cut", ())}, covers)
        except (ValueError, KeyError, TypeError, AttributeError, FileUnavailableError):
            log.warning("What an earlier try noted about this pull cannot be read; it begins anew")
            return cls()

    def write(self, files: PrivateFiles, folder: str, tag: str) -> None:
        """Keep it for a retry."""
        done = [{"piece": asdict(piece), "file": file.to_json()} for piece, file in self.done.items()]
        covers = self.covers.to_json() if self.covers else None
        kept = {"done": done, "cut": [asdict(piece) for piece in self.cut], "covers": covers}
        with files.create(folder + progress_name(tag), private=True) as file:
            file.write(json.dumps(kept).encode())

    def next_number(self) -> int:
        """Return a number for a file that no stored piece has."""
        return max((int(file.name.partition(".")[0]) for file in self.done.values()), default=0) + 1


def _read(files: PrivateFiles, uri: str) -> bytes | None:
    """Return a small file's content; None where there is no file."""
    try:
        with files.open(uri) as file:
            return file.read()
    except FileUnavailableError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
