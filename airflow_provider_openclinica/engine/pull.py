"""Pull a study's clinical data: in one request, or in as many as the server can stand.

    pull_file(client, request, files, uri, stop)               one document in one file
    pull_set(client, request, files, folder, tag, how, stop)   a folder of documents, see engine/pullset.py
    pull_set(…, since=moment)                                  the same, of the participants who changed since then

A study is pulled whole, by site or by participant; with ``auto``, whole first, and smaller where a request fails. The
request for a participant names the site, since only then the document does. Participants of the study itself, and of no
site, come one by one where there are sites: no request gives just them (docs/protocol.md, clinical data).

Who changed comes one by one, too; where that would be many, everything is pulled instead, as at first. Metadata stand
in the study's own document; a pull in smaller pieces has them in a file of their own, which is fetched first and alone:
in the source, retrieves with other flags that run at the same time disturb each other. All others of a pull carry the
same flags.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_provider_openclinica.engine.increments import Covers
from airflow_provider_openclinica.engine.pieces import Piece, fetch, no_data, stopped
from airflow_provider_openclinica.engine.pullset import (
    Manifest,
    Progress,
    SetFile,
    clear_up,
    progress_name,
    publish,
    read_manifest,
)
from airflow_provider_openclinica.engine.pullthreads import ended, workers
from airflow_provider_openclinica.errors import (
    ConfigurationError,
    OpenClinicaError,
    RoleError,
    ServerUnavailableError,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable
    from concurrent.futures import Future
    from datetime import datetime

    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.client.participants import ListedParticipant
    from airflow_provider_openclinica.engine.files import PrivateFiles
    from airflow_provider_openclinica.engine.pieces import Fetched, Request

log = logging.getLogger(__name__)

PartitionBy = Literal["study", "site", "participant", "auto"]
PARTITIONS = ("study", "site", "participant", "auto")
MOST_PARALLEL = 8
KEPT_AT_ONCE = 100  #: pieces; the progress of more is written every few seconds only
KEEP_SECONDS = 2.0  #: a worker that is lost then costs what came since
MANY = 0.25  #: of the participants; where more have changed, one answer with everybody is less work for the server
MAY_LIST = (
    "Ask the data manager for a role there that may list participants, then log in to the web page once: that copies "
    "roles. Without it only partition_by='study' works, and nothing incremental."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How to cut a pull, and what to leave where it fails.

    :param max_parallel: requests at the same time. The server also serves the sites.
    :param allow_empty: publish a pull that found no participant.
    :param whole_if_many: of a pull of those who changed: pull everything where more than a quarter of all have.
    :param keep: where it fails, leave what is stored for another try with the same tag; False: there will be none.
    """

    partition_by: PartitionBy = "study"
    max_parallel: int = 2
    allow_empty: bool = False
    whole_if_many: bool = False
    keep: bool = True

    def __post_init__(self) -> None:
        if self.partition_by not in PARTITIONS:
            raise ConfigurationError(f"partition_by is none of {', '.join(PARTITIONS)}")
        most = self.max_parallel
        if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= MOST_PARALLEL:
            raise ConfigurationError(f"max_parallel is not a whole number from 1 to {MOST_PARALLEL}")


def pull_file(
    client: OpenClinicaClient,
    request: Request,
    files: PrivateFiles,
    uri: str,
    stop: threading.Event,
    *,
    allow_empty: bool = False,
) -> Fetched:
    """Retrieve all that is wanted in one document. An empty one is published only if that is allowed.

    :raises NotFoundError: it holds no clinical data, which may mean three things.
    :raises OpenClinicaError: as ``pieces.fetch``.
    """
    with workers(1, stop) as pool:
        future = pool.submit(fetch, client, request, request.whole, files, uri, stop, allow_empty=allow_empty)
        ended({future}, stop)
        return future.result()


def pull_set(
    client: OpenClinicaClient,
    request: Request,
    files: PrivateFiles,
    folder: str,
    tag: str,
    how: How,
    stop: threading.Event,
    *,
    since: datetime | None = None,
) -> Manifest:
    """Retrieve what is wanted in pieces, and publish them as one set. Goes on where an earlier try of the tag ended.

    :param folder: ends in ``/``.
    :param tag: 16 hexadecimal digits, the same in each try of a task, and of no other.
    :param since: retrieve only participants who changed at that time or later, one by one; none may be a set, too. What
        an earlier try made of it, those after it keep to.
    :raises NotFoundError: nothing holds clinical data, which may mean three things.
    :raises OpenClinicaError: as ``pieces.fetch``; the pieces that are stored are kept for a retry.
    """
    published = read_manifest(files, folder)
    if published and published.tag == tag:
        log.info("An earlier try has published this pull already, so nothing is retrieved. Clear the task to pull anew")
        clear_up(files, folder, published)
        return published
    pull = _Pull(client, request, files, folder, tag, how, stop, since)
    found = pull.run()
    published = read_manifest(files, folder)  # again: another run may have published a set meanwhile
    before = {file.name for file in published.files} if published else set()
    manifest = Manifest(
        tag=tag,
        format=request.format,
        study_oid=request.study_oid,
        files=found,
        covers=pull.covers_of(found),
        left_out=_left_out(request),
        replaces=tuple(sorted({*before, *pull.strays()} - {file.name for file in found})),
    )
    publish(files, folder, manifest)
    return manifest


def _left_out(request: Request) -> tuple[str, ...]:
    """Return the tables that a pull says nothing about."""
    asked_for = {"queries": request.include_queries, "audit": request.include_audits}
    return tuple(table for table, is_asked_for in asked_for.items() if not is_asked_for)


class _Pull:
    """A pull in pieces. Only the main thread plans, notes and publishes; the others fetch."""

    def __init__(
        self,
        client: OpenClinicaClient,
        request: Request,
        files: PrivateFiles,
        folder: str,
        tag: str,
        how: How,
        stop: threading.Event,
        since: datetime | None,
    ) -> None:
        self._client, self._request, self._how, self._stop = client, request, how, stop
        self._files, self._folder, self._tag = files, folder, tag
        self._began = time.time()
        self._progress = Progress.read(files, folder, tag)
        self._since = self._progress.covers.since if self._progress.covers else since
        self._number = self._progress.next_number()
        self._kept_at = time.monotonic()
        self._order: list[Piece] = []
        self._running: dict[Future[SetFile], Piece] = {}

    def run(self) -> tuple[SetFile, ...]:
        """Fetch every piece; return their files in order."""
        done = self._progress.done
        if done:
            log.info("An earlier try has stored %d pieces of this pull", len(done))
        try:
            self._order = self._changed(self._since) if self._since else self._planned(self._request.whole)
            self._fetch_metadata()
            self._fetch_all()
            self._refuse_empty()
        except BaseException as error:
            self._note_ended()
            if self._how.keep and (not isinstance(error, OpenClinicaError) or error.retry):
                self._keep_for_next_try()
            else:
                self._drop()
            raise
        self._keep()  # should the worker be lost before the set is published
        return tuple(done[piece] for piece in self._order)

    def strays(self) -> list[str]:
        """Return files of earlier tries that are not in the set: of a participant who has moved to another site."""
        return [file.name for piece, file in self._progress.done.items() if piece not in self._order]

    def covers_of(self, found: Iterable[SetFile]) -> Covers | None:
        """Return what the set holds, as of before the first request of the first try.

        None where a single participant was wanted; and where nobody was found among all, which may mean three things,
        and must not be taken for a study that everybody has left.
        """
        is_of_somebody = any(file.fetched.counts["participants"] for file in found)
        return None if self._request.is_of_one or not (self._since or is_of_somebody) else self._covers()

    def _covers(self) -> Covers:
        return self._progress.covers or Covers.up_to(
            self._client.server_time(self._began), self._since, self._request.selected
        )

    def _refuse_empty(self) -> None:
        """Raise if there was nothing to ask for. A piece without data has failed by itself."""
        if not self._how.allow_empty and not self._since and all(piece.holds == "metadata" for piece in self._order):
            raise no_data(self._request.study_oid)

    def _fetch_all(self) -> None:
        running = self._running
        waiting = [piece for piece in reversed(self._order) if piece not in self._progress.done]
        with workers(self._how.max_parallel, self._stop) as pool:
            while waiting or running:
                while waiting and len(running) < self._how.max_parallel:
                    piece = waiting.pop()
                    running[pool.submit(self._store, piece, self._new_name())] = piece
                over = ended(running.keys(), self._stop)
                for future in sorted(over, key=lambda future: future.exception() is not None):  # note what there is
                    piece, error = running.pop(future), future.exception()
                    if isinstance(error, ServerUnavailableError) and self._may_be_cut(piece):
                        waiting += reversed(self._cut_now(piece, error))
                    else:
                        self._note(piece, future.result())

    def _fetch_metadata(self) -> None:
        """Fetch the metadata by themselves if no piece will hold them."""
        if not self._request.include_metadata or self._request.whole in self._order:
            return
        metadata = Piece(holds="metadata", study_oid=self._request.study_oid)
        if metadata not in self._progress.done:
            with workers(1, self._stop) as pool:
                future = pool.submit(self._store, metadata, self._new_name())
                ended({future}, self._stop)
                self._note(metadata, future.result())
        self._order.insert(0, metadata)

    def _store(self, piece: Piece, name: str) -> SetFile:
        fetched = fetch(
            self._client,
            self._request,
            piece,
            self._files,
            self._folder + name,
            self._stop,
            allow_empty=piece.holds == "metadata" or (self._how.allow_empty and not self._since),
            once=self._may_be_cut(piece),
        )
        return SetFile(name=name, holds=piece.holds, study_oid=piece.study_oid, fetched=fetched)

    # -- pieces

    def _planned(self, piece: Piece) -> list[Piece]:
        """Return a piece, or the smaller ones that stand for it by now."""
        if piece in self._progress.done or not self._is_cut(piece):
            return [piece]
        return [each for smaller in self._smaller(piece) for each in self._planned(smaller)]

    def _is_cut(self, piece: Piece) -> bool:
        if piece.holds == "study":
            return self._how.partition_by in ("site", "participant") or piece in self._progress.cut
        if piece.holds == "site":
            return self._how.partition_by == "participant" or piece in self._progress.cut
        return False

    def _may_be_cut(self, piece: Piece) -> bool:
        return self._how.partition_by == "auto" and piece.holds in ("study", "site")

    def _cut_now(self, piece: Piece, error: OpenClinicaError) -> list[Piece]:
        """Put smaller pieces in the place of one that failed, and return them."""
        log.warning("%s (%s). It is pulled in smaller pieces", error.args[0], piece.study_oid)
        smaller = self._smaller(piece)  # fails, and nothing is kept, where there is no such study
        self._progress.cut.add(piece)
        self._keep()
        at = self._order.index(piece)
        self._order[at : at + 1] = smaller
        if piece.holds == "study":
            self._fetch_metadata()
        return smaller

    def _smaller(self, piece: Piece) -> list[Piece]:
        study = self._request.study_oid
        if piece.holds == "site":
            site = None if piece.study_oid == study else piece.study_oid
            return _each(piece.study_oid, self._participants(site))
        sites = self._client.studies.sites(study)
        if not sites and self._how.partition_by == "site":
            return [Piece(holds="site", study_oid=study)]
        at_sites: set[str] = set()
        pieces = []
        for site in sites:
            if there := self._participants(site):
                pieces.append(Piece(holds="site", study_oid=site))
                at_sites.update(there)
        return pieces + _each(study, [oid for oid in self._participants(None) if oid not in at_sites])

    def _participants(self, site_oid: str | None) -> list[str]:
        return [participant.oid for participant in self._listed(site_oid)]

    def _listed(self, site_oid: str | None) -> list[ListedParticipant]:
        if self._stop.is_set():
            raise stopped()
        try:
            return self._client.participants.list(self._request.study_oid, site_oid)
        except RoleError as error:
            error.next_step = MAY_LIST
            raise

    def _changed(self, since: datetime) -> list[Piece]:
        """Return the participants who changed since then; whose change the server does not date is among them.

        Where that is many, ``since`` is dropped, and what is returned is everything.

        :raises NotFoundError: nobody is listed at all, and that is not allowed.
        """
        study = self._request.study_oid
        listed = self._listed(None)
        if not listed and not self._how.allow_empty:
            raise no_data(study)
        changed = {each.oid for each in listed if each.changed_at is None or each.changed_at >= since}
        log.info("%d of %d participants have changed since %s", len(changed), len(listed), since.isoformat())
        if self._are_many(len(changed), len(listed)):
            log.info("Everything is pulled: that is more than a quarter of them")
            self._since = None
            return self._planned(self._request.whole)
        pieces = []
        for site in self._client.studies.sites(study) if changed else ():
            there = [oid for oid in self._participants(site) if oid in changed]
            pieces += _each(site, there)
            changed.difference_update(there)
        return pieces + _each(study, [each.oid for each in listed if each.oid in changed])

    def _are_many(self, changed: int, listed: int) -> bool:
        """Tell whether everything is better pulled at once. A try that goes on does as the one before."""
        comes_at_once = self._how.whole_if_many and self._how.partition_by != "participant"
        return comes_at_once and self._progress.covers is None and changed > MANY * listed

    # -- notes

    def _new_name(self) -> str:
        number, self._number = self._number, self._number + 1
        return f"{number:04}.{self._tag}.{self._request.format}"

    def _note(self, piece: Piece, file: SetFile) -> None:
        self._progress.done[piece] = file
        if len(self._progress.done) <= KEPT_AT_ONCE or time.monotonic() - self._kept_at > KEEP_SECONDS:
            self._keep()

    def _note_ended(self) -> None:
        """Note the pieces that were stored while another one failed."""
        for future, piece in self._running.items():
            if future.done() and not future.cancelled() and not future.exception():
                self._progress.done[piece] = future.result()

    def _keep(self) -> None:
        """Keep the progress; where that fails, a retry has more to do, and nothing is lost."""
        if not self._progress.done and not self._progress.cut:
            return
        self._progress.covers = self._covers()
        try:
            self._progress.write(self._files, self._folder, self._tag)
        except OpenClinicaError as error:
            log.warning("%s; a retry will begin anew", error.args[0])
        self._kept_at = time.monotonic()

    def _keep_for_next_try(self) -> None:
        self._keep()
        if count := len(self._progress.done):
            told = "Documents kept in %s for the next try: %d. Should there be none, remove what has %s in its name"
            log.info(told, self._folder, count, self._tag)

    def _drop(self) -> None:
        """Remove what no retry will use. The error that ended the pull is the one to raise."""
        try:
            for file in self._progress.done.values():
                self._files.remove(self._folder + file.name)
            self._files.remove(self._folder + progress_name(self._tag))
        except OpenClinicaError as error:
            log.warning("%s. Nobody needs the files there with %s in their names", error.args[0], self._tag)


def _each(study_oid: str, participants: list[str]) -> list[Piece]:
    return [Piece(holds="participant", study_oid=study_oid, participant=oid) for oid in participants]
