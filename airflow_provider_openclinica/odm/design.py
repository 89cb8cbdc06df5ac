"""A study's design, as its metadata tell it: events, forms, item groups, items and lists of choices."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of a list: what is stored, and what people see."""

    code: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeList:
    """A list of choices.

    :param multiple: several may be stored in one value, with commas between them.
    """

    oid: str
    name: str
    data_type: str
    multiple: bool
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDefinition:
    """An item.

    :param label: the question as the form asks it; empty where it asks nothing.
    :param description: what a comment says about it.
    :param data_type: ODM's word: ``text``, ``integer``, ``float``, ``date``, ``partialDate``, …
    :param length: greatest length of a value; None where none is given.
    :param units: symbols of its units of measurement.
    :param code_list_oid: of its list of choices; empty without one.
    :param multiple: its list allows several choices.
    """

    oid: str
    name: str
    label: str
    description: str
    data_type: str
    length: int | None
    significant_digits: int | None
    units: tuple[str, ...]
    code_list_oid: str
    multiple: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemGroupDefinition:
    """An item group; ``items`` are OIDs in the order of the form."""

    oid: str
    name: str
    repeating: bool
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormDefinition:
    """A form. In OpenClinica 3 each version is a form of its own, with an OID of its own.

    :param versions: names of its versions, the oldest first; data name theirs in ``form_layout_oid``.
    :param item_groups: OIDs.
    """

    oid: str
    name: str
    versions: tuple[str, ...]
    item_groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormInEvent:
    """A form in an event.

    :param versions: names of the versions that may be used there.
    :param default_version: the one that is opened; empty where none is marked.
    :param removed: it was taken out of the event.
    """

    form_oid: str
    mandatory: bool
    versions: tuple[str, ...]
    default_version: str
    removed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDefinition:
    """An event; ``type`` is ``Scheduled``, ``Unscheduled`` or ``Common``."""

    oid: str
    name: str
    repeating: bool
    type: str
    removed: bool
    forms: tuple[FormInEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteDefinition:
    """A site of a study."""

    oid: str
    name: str
    protocol_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyMetadata:
    """A study's design. All definitions go by their OIDs, in the order of the document.

    :param study_oid: of the study, or of the site that was asked for.
    :param protocol_name: the study's unique identifier.
    :param code_lists: lists of choices, those of multiple choice included.
    :param version_oid: of the last MetaDataVersion; empty where there is none.
    """

    study_oid: str
    name: str
    description: str
    protocol_name: str
    sites: dict[str, SiteDefinition]
    events: dict[str, EventDefinition]
    forms: dict[str, FormDefinition]
    item_groups: dict[str, ItemGroupDefinition]
    items: dict[str, ItemDefinition]
    code_lists: dict[str, CodeList]
    version_oid: str = ""

    @property
    def has_design(self) -> bool:
        """Tell whether the document held the design: an account without a role in the study gets none."""
        return bool(self.events or self.forms or self.items)

    def groups_of(self, form: FormDefinition) -> list[ItemGroupDefinition]:
        """Return the item groups of a form that are defined."""
        return [self.item_groups[oid] for oid in form.item_groups if oid in self.item_groups]

    def items_of(self, group: ItemGroupDefinition) -> list[ItemDefinition]:
        """Return the items of a group that are defined, in the order of the form."""
        return [self.items[oid] for oid in group.items if oid in self.items]

    def choices_of(self, item: ItemDefinition) -> tuple[Choice, ...]:
        """Return the choices of an item; none where it has no list."""
        found = self.code_lists.get(item.code_list_oid)
        return found.choices if found else ()
