"""What Airflow reads about this provider: one literal and no imports.

Every ``import airflow`` loads this module and checks the literal, so an error here would stop a whole deployment, and
an import here would slow it down. Airflow 3.2 and later build the connection form from ``conn-fields`` without loading
the hook; for older versions ``hooks/openclinica.py`` makes the same form from the same data.
"""

from __future__ import annotations

_INTEGRATION = "OpenClinica"
_PACKAGE = "airflow_provider_openclinica"


def get_provider_info() -> dict[str, object]:
    """Return the metadata of this provider (entry point ``apache_airflow_provider``)."""
    return {
        "package-name": "airflow-provider-openclinica",
        "name": "OpenClinica",
        "description": "Move data in and out of `OpenClinica <https://www.openclinica.com/>`__.",
        "versions": ["0.1.0"],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://docs.openclinica.com/",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": _INTEGRATION, "python-modules": [f"{_PACKAGE}.hooks.openclinica"]}],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    f"{_PACKAGE}.operators.casebooks",
                    f"{_PACKAGE}.operators.clinicaldata",
                    f"{_PACKAGE}.operators.contacts",
                    f"{_PACKAGE}.operators.events",
                    f"{_PACKAGE}.operators.extracts",
                    f"{_PACKAGE}.operators.jobs",
                    f"{_PACKAGE}.operators.participants",
                    f"{_PACKAGE}.operators.studies",
                    f"{_PACKAGE}.operators.visits",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    f"{_PACKAGE}.sensors.clinicaldata",
                    f"{_PACKAGE}.sensors.extracts",
                    f"{_PACKAGE}.sensors.job_list",
                    f"{_PACKAGE}.sensors.jobs",
                ],
            }
        ],
        "triggers": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    f"{_PACKAGE}.triggers.clinicaldata",
                    f"{_PACKAGE}.triggers.extracts",
                    f"{_PACKAGE}.triggers.jobs",
                ],
            }
        ],
        "extra-links": [f"{_PACKAGE}.links.jobs.OpenClinicaJobLink"],
        "connection-types": [
            {
                "connection-type": "openclinica",
                "hook-class-name": f"{_PACKAGE}.hooks.openclinica.OpenClinicaHook",
                "hook-name": "OpenClinica",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port"],
                    "relabeling": {"host": "Study server URL", "login": "User name"},
                    "placeholders": {"host": "https://acme.openclinica.io/OpenClinica"},
                },
                "conn-fields": {
                    "auth_url": {
                        "label": "Token URL",
                        "description": (
                            "Where tokens come from. Empty: derived from the study server's name, as in "
                            "https://acme.build.openclinica.io/user-service/api/oauth/token"
                        ),
                        "schema": {"type": ["string", "null"], "format": "url"},
                    },
                    "import_path": {
                        "label": "Import path",
                        "description": "Which import this server has. Empty: found out once, then remembered.",
                        "schema": {"type": ["string", "null"], "enum": ["import/xml", "import"]},
                    },
                    "token_cache": {
                        "label": "Token cache",
                        # No default: because of the field's name, Airflow would show and store it as ***.
                        "description": (
                            "Who shares a token: one process (memory), all processes of a host (file), or the whole "
                            "deployment too (variable). Empty: file. Stored tokens are encrypted with the password."
                        ),
                        "schema": {"type": ["string", "null"], "enum": ["memory", "file", "variable"]},
                    },
                    "request_timeout": {
                        "label": "Request time-out (s)",
                        "description": "How long OpenClinica may stay silent within a request. Empty: 300 seconds.",
                        "schema": {"type": ["number", "null"], "minimum": 1},
                    },
                    "verify": {
                        "label": "TLS verification",
                        "description": "Path of a CA bundle to trust. Empty: the usual authorities. false: none.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "allow_http": {
                        "label": "Allow plain http",
                        "description": "Send password and data unencrypted. Loopback needs no such permission.",
                        "schema": {"type": ["boolean", "null"], "default": False},
                    },
                    "keep_cookies": {
                        "label": "Keep cookies",
                        "description": "For load balancers that route by cookie only.",
                        "schema": {"type": ["boolean", "null"], "default": False},
                    },
                },
            }
        ],
        "config": {
            "openclinica": {
                "description": "Settings of the OpenClinica provider.",
                "options": {
                    "token_cache_dir": {
                        "description": (
                            "Folder in which the processes of a host share tokens, encrypted. It must belong to the "
                            "user that runs Airflow, mode 0700; it is made when missing. Empty: a folder for each "
                            "user in the system's temporary folder."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/var/cache/airflow/openclinica",
                        "default": "",
                    },
                },
            }
        },
    }
