"""The connection forms for Airflow before 3.2, which asks a hook for what newer versions read in the provider info."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from airflow_provider_openclinica.get_provider_info import get_provider_info


def widgets(conn_type: str) -> dict[str, Any]:
    """Make the form fields of a connection type."""
    from wtforms import BooleanField, PasswordField, StringField  # type: ignore[import-untyped]
    from wtforms.validators import Optional, any_of  # type: ignore[import-untyped]

    made = {}
    for name, field in _described(conn_type)["conn-fields"].items():
        schema = field["schema"]
        validators = [Optional()] + ([any_of(schema["enum"])] if "enum" in schema else [])
        secret = schema.get("format") == "password"
        kind = BooleanField if "boolean" in schema["type"] else PasswordField if secret else StringField
        made[name] = kind(
            field["label"],
            validators=validators,
            description=field["description"],
            default=schema.get("default"),
            widget=_as_kept if secret else None,
        )
    return made


def field_behaviour(conn_type: str) -> dict[str, Any]:
    """Return how the form of a connection type treats Airflow's own fields."""
    behaviour = _described(conn_type)["ui-field-behaviour"]
    return {name.replace("-", "_"): value for name, value in behaviour.items()}


def _as_kept(field: Any, **attributes: Any) -> Any:
    """Show a secret on Airflow 2 as the word that stands for the one it has: of a blank it would save a blank."""
    kept = import_module("airflow.www.views").SENSITIVE_FIELD_PLACEHOLDER if field.data else ""
    return import_module("wtforms.widgets").PasswordInput(hide_value=False)(field, **attributes | {"value": kept})


def _described(conn_type: str) -> Any:
    info: Any = get_provider_info()
    return next(described for described in info["connection-types"] if described["connection-type"] == conn_type)
