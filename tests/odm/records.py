"""Read an export and take out what a test is about."""

from __future__ import annotations

import io
from typing import Any

from airflow_provider_openclinica import odm
from airflow_provider_openclinica.odm.reader import Item


def only(source: Any, kind: type, **parameters: Any) -> Any:
    (found,) = (record for record in odm.read(source, **parameters) if isinstance(record, kind))
    return found


def items(document: bytes, **parameters: Any) -> list[tuple[Any, ...]]:
    """Return what ``items_in`` returns of the same export."""
    return [
        (
            *(item.study_oid, item.subject_key, item.participant_id, item.study_event_oid, item.study_event_repeat_key),
            *(item.form_oid, item.form_layout_oid, item.item_group_oid, item.item_group_repeat_key),
            *(item.item_oid, item.value, item.removed, item.archived),
        )
        for item in odm.read(io.BytesIO(document), **parameters)
        if isinstance(item, Item)
    ]
