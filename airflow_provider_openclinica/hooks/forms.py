"""The connection forms for Airflow before 3.2, which asks a hook for what newer versions read in the provider info."""

from __future__ import annotations

from typing import Any

from airflow_provider_openclinica.get_provider_info import get_provider_info


def widgets(conn_type: str) -> dict[str, Any]:
    """Make the form fields of a connection type."""
    from wtforms import BooleanField, StringField  # type: ignore[import-untyped]
    from wtforms.validators import Optional, any_of  # type: ignore[import-untyped]

    made = {}
    for name, field in _described(conn_type)["conn-fields"].items():
        schema = field["schema"]
        validators = [Optional()] + ([any_of(schema["enum"])] if "enum" in schema else [])
        made[name] = (BooleanField if "boolean" in schema["type"] else StringField)(
            field["label"], validators=validators, description=field["description"], default=schema.get("default")
        )
    return made


def field_behaviour(conn_type: str) -> dict[str, Any]:
    """Return how the form of a connection type treats Airflow's own fields."""
    behaviour = _described(conn_type)["ui-field-behaviour"]
    return {name.replace("-", "_"): value for name, value in behaviour.items()}


def _described(conn_type: str) -> Any:
    info: Any = get_provider_info()
    return next(described for described in info["connection-types"] if described["connection-type"] == conn_type)
