"""Draw the pictures in ``docs/pictures`` from the tables of the sandbox's demo study. ``make pictures`` runs this.

    completeness(tables, metadata)    every form of every visit that is due, by site and visit
    open_queries(tables, metadata)    who has to answer, by form and site

Both return SVG: the same text for the same tables, with colours of their own for light and dark screens, and none that
only hue tells apart. ``tables`` are the rows of ``odm.flatten`` by table, so any study of any OpenClinica can be drawn.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_openclinica import odm
from demo.drawing import Drawing
from demo.study import exported

if TYPE_CHECKING:
    from airflow_provider_openclinica.odm.metadata import StudyMetadata

Tables = dict[str, list[dict[str, Any]]]

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
MARGIN = 32
TILE, HIGH, COLUMN, LINE = 22, 9, 25, 12  # of the mosaic: a tile, and from one to the next
BETWEEN_VISITS, BETWEEN_SITES = 24, 48
ROW, BAR, PER_QUERY, WIDEST_NAME = 32, 14, 20, 250  # of the bars


def main() -> int:
    """Fill a sandbox, pull it, draw."""
    PICTURES.mkdir(exist_ok=True)
    for name, picture in draw(exported()).items():
        (PICTURES / name).write_text(picture, encoding="utf-8")
        print(f"docs/pictures/{name}")
    return 0


def draw(export: bytes) -> dict[str, str]:
    """Return each picture's text by the name of its file."""
    tables: Tables = defaultdict(list)
    for table, row in odm.flatten([export]):
        tables[table].append(row)
    metadata = odm.read_metadata([export])
    return {"completeness.svg": completeness(tables, metadata), "open-queries.svg": open_queries(tables, metadata)}


# -- every form of every visit


class Visit(NamedTuple):
    """A column of the mosaic: an event, one occurrence of it, and the forms it has."""

    name: str
    event: str
    repeat: str
    forms: tuple[str, ...]

    @property
    def width(self) -> int:
        """How much of a row it takes."""
        return COLUMN * (len(self.forms) - 1) + TILE


def completeness(tables: Tables, metadata: StudyMetadata) -> str:
    """Draw a mosaic: a line for each participant, a tile for each form of a visit that was scheduled."""
    visits, sites = _visits(tables, metadata), _sites(tables, metadata)
    due = {_key(row) for row in tables["events"] if _counts(row)}
    entered = {(*_key(row), row["form_oid"]): row["status"] for row in tables["forms"] if _counts(row)}
    width = sum(visit.width + BETWEEN_VISITS for visit in visits) - BETWEEN_VISITS
    top, tallest = 146, max((len(people) for _, people in sites), default=0) * LINE
    drawing = Drawing(
        width=2 * MARGIN + len(sites) * (width + BETWEEN_SITES) - BETWEEN_SITES,
        height=top + tallest + 58,
        title="Completeness by site and visit",
        subtitle=f"{metadata.name}: a line for each participant, a tile for each form of a visit that was scheduled",
    )
    for number, (name, people) in enumerate(sites):
        left = MARGIN + number * (width + BETWEEN_SITES)
        drawing.text(left, 100, name, "strong", aside=f"{len(people)} participants")
        for visit in visits:
            tiles = [
                (line, column, _state(entered.get((person, visit.event, visit.repeat, form))))
                for line, person in enumerate(people)
                for column, form in enumerate(visit.forms)
                if (person, visit.event, visit.repeat) in due
            ]
            for line, column, state in tiles:
                drawing.bar(left + column * COLUMN, top + line * LINE, TILE, HIGH, state)
            complete = sum(state == "done" for _, _, state in tiles)
            drawing.text(left, 124, visit.name, "label")
            drawing.text(left, 139, f"{complete / len(tiles):.0%}" if tiles else "none yet", "figure")
            left += visit.width + BETWEEN_VISITS
    at = top + tallest + 32
    _legend(drawing, MARGIN, at, (0, "done", "complete"), (108, "begun", "begun"), (202, "missing", "not begun"))
    drawing.text(drawing.width - MARGIN, at, "percentages: complete, of all forms of scheduled visits", "quiet end")
    return drawing.svg()


def _state(status: str | None) -> str:
    if not status:
        return "missing"
    return "done" if status.casefold() in COMPLETE else "begun"


COMPLETE = frozenset({"data entry complete", "locked"})


def _visits(tables: Tables, metadata: StudyMetadata) -> list[Visit]:
    """Return the scheduled visits in the order of the study; common events are due at no time."""
    repeats = defaultdict(set)
    for row in filter(_counts, tables["events"]):
        repeats[row["study_event_oid"]].add(int(row["study_event_repeat_key"]))
    return [
        Visit(
            event.name if not event.repeating else str(repeat) if number else f"{event.name} {repeat}",
            event.oid,
            str(repeat),
            tuple(form.form_oid for form in event.forms if not form.removed),
        )
        for event in metadata.events.values()
        if event.type != "Common"
        for number, repeat in enumerate(sorted(repeats[event.oid]))
    ]


# -- who has to answer


def open_queries(tables: Tables, metadata: StudyMetadata) -> str:
    """Draw a bar for each form and site: queries that wait for the site, and those that it has answered."""
    threads = [
        row
        for row in tables["queries"]
        if row["note_number"] < 2 and row["note_type"] == "Query" and not row["status"].startswith("Closed")
    ]
    waits = Counter((row["study_oid"], row["form_oid"], row["status"] == "Updated") for row in threads)
    unanswered = sum(number for (_, _, is_answered), number in waits.items() if not is_answered)
    by_form = Counter(row["form_oid"] for row in threads)
    forms = [oid for oid in metadata.forms if oid in by_form]
    forms.sort(key=lambda oid: -by_form[oid])
    longest = max((waits[site, form, False] + waits[site, form, True] for site, form, _ in waits), default=0)
    sites = [site for site in metadata.sites.values() if any(oid == site.oid for oid, _, _ in waits)]
    names, column, top = 170, max(longest * PER_QUERY + 60, WIDEST_NAME), 122
    drawing = Drawing(
        width=2 * MARGIN + names + len(sites) * column,
        height=top + len(forms) * ROW + 40,
        title="Open queries by form",
        subtitle=f"{metadata.name}: {len(threads)} queries are open; {unanswered} wait for a site, "
        "the others for a review of its answer",
    )
    for number, site in enumerate(sites):
        drawing.text(MARGIN + names + number * column, 100, site.name, "strong")
    for row, form in enumerate(forms):
        y = top + row * ROW
        drawing.text(MARGIN, y + BAR - 2, metadata.forms[form].name, "name")
        for number, site in enumerate(sites):
            waiting, answered = waits[site.oid, form, False], waits[site.oid, form, True]
            left = MARGIN + names + number * column
            middle = left + waiting * PER_QUERY
            drawing.bar(left, y, waiting * PER_QUERY, BAR, "done")
            drawing.bar(middle + (2 if waiting else 0), y, answered * PER_QUERY, BAR, "begun")
            right = left + (waiting + answered) * PER_QUERY + (10 if waiting + answered else 0)
            drawing.text(right, y + BAR - 2, str(waiting + answered), "figure")
    at = top + len(forms) * ROW + 16
    _legend(drawing, MARGIN + names, at, (0, "done", "waits for the site"), (160, "begun", "answered, to be reviewed"))
    return drawing.svg()


# -- what both need


def _legend(drawing: Drawing, left: float, y: float, *entries: tuple[int, str, str]) -> None:
    """Say what the colours mean: each entry has its place, its kind and its words."""
    for offset, kind, words in entries:
        drawing.bar(left + offset, y - HIGH, TILE, HIGH, kind)
        drawing.text(left + offset + TILE + 8, y, words, "label")


def _counts(row: dict[str, Any]) -> bool:
    return not (row["removed"] or row["archived"])


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["subject_key"], row["study_event_oid"], row["study_event_repeat_key"]


def _sites(tables: Tables, metadata: StudyMetadata) -> list[tuple[str, list[str]]]:
    """Return each site's name and its participants, in the order in which they came."""
    people: dict[str, list[str]] = defaultdict(list)
    for row in tables["participants"]:
        if not row["removed"]:
            people[row["study_oid"]].append(row["subject_key"])
    return [(site.name, people[site.oid]) for site in metadata.sites.values() if people[site.oid]]


if __name__ == "__main__":
    sys.exit(main())
