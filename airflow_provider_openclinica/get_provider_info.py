"""What Airflow reads about this provider: one literal and no imports.

Every ``import airflow`` loads this module and checks the literal, so an error here would stop a whole deployment, and
an import here would slow it down. Airflow 3.2 and later build the connection form from ``conn-fields`` without loading
the hook; for older versions ``hooks/forms.py`` makes the same form from the same data.
"""

from __future__ import annotations

_INTEGRATION = "OpenClinica"
_CLINONE = "ClinOne"
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
            },
            {
                "integration-name": _CLINONE,
                "external-doc-url": "https://developer.clinone.com/",
                "tags": ["service"],
            },
        ],
        "hooks": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [f"{_PACKAGE}.hooks.openclinica", f"{_PACKAGE}.hooks.openclinica3"],
            },
            {"integration-name": _CLINONE, "python-modules": [f"{_PACKAGE}.hooks.clinone"]},
        ],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    f"{_PACKAGE}.operators.casebooks",
                    f"{_PACKAGE}.operators.changes",
                    f"{_PACKAGE}.operators.clinicaldata",
                    f"{_PACKAGE}.operators.contacts",
                    f"{_PACKAGE}.operators.events",
                    f"{_PACKAGE}.operators.extracts",
                    f"{_PACKAGE}.operators.jobs",
                    f"{_PACKAGE}.operators.openclinica3",
                    f"{_PACKAGE}.operators.participants",
                    f"{_PACKAGE}.operators.studies",
                    f"{_PACKAGE}.operators.visits",
                ],
            },
            {"integration-name": _CLINONE, "python-modules": [f"{_PACKAGE}.operators.clinone"]},
        ],
        "sensors": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    f"{_PACKAGE}.sensors.clinicaldata",
                    f"{_PACKAGE}.sensors.extracts",
                    f"{_PACKAGE}.sensors.job_list",
                    f"{_PACKAGE}.sensors.jobs",
                    f"{_PACKAGE}.sensors.openclinica3",
                ],
            },
            {"integration-name": _CLINONE, "python-modules": [f"{_PACKAGE}.sensors.clinone"]},
        ],
        "triggers": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    f"{_PACKAGE}.triggers.clinicaldata",
                    f"{_PACKAGE}.triggers.extracts",
                    f"{_PACKAGE}.triggers.jobs",
                    f"{_PACKAGE}.triggers.openclinica3",
                ],
            }
        ],
        "transfers": [  # the target is storage of any kind, for which Airflow has no name
            {
                "source-integration-name": _INTEGRATION,
                "target-integration-name": _INTEGRATION,
                "python-module": f"{_PACKAGE}.transfers.openclinica_to_file",
            },
            {
                "source-integration-name": _INTEGRATION,
                "target-integration-name": _INTEGRATION,
                "python-module": f"{_PACKAGE}.transfers.openclinica_to_tables",
            },
            {
                "source-integration-name": _INTEGRATION,
                "target-integration-name": _INTEGRATION,
                "python-module": f"{_PACKAGE}.transfers.tables_to_sql",
            },
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
            },
            {
                "connection-type": "openclinica3",
                "hook-class-name": f"{_PACKAGE}.hooks.openclinica3.OpenClinica3Hook",
                "hook-name": "OpenClinica 3",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port"],
                    "relabeling": {"host": "Web application URL", "login": "User name"},
                    "placeholders": {"host": "https://edc.example.org/OpenClinica"},
                },
                "conn-fields": {
                    "ws_url": {
                        "label": "Web services URL",
                        "description": "Where SOAP is. Empty: the web application's URL with -ws behind it.",
                        "schema": {"type": ["string", "null"], "format": "url"},
                    },
                    "password_hash": {
                        "label": "Stored password",
                        "description": (
                            "For SOAP, in hexadecimal, where it is no SHA-1 of the password: accounts whose password "
                            "nobody has changed for long have MD5. Empty: SHA-1 of the password."
                        ),
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "api_key": {
                        "label": "API key",
                        "description": "Empty: fetched with user name and password.",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "read_by": {
                        "label": "Read by",
                        "description": "session reads XML; api_key reads JSON, in which dates change. Empty: session.",
                        "schema": {"type": ["string", "null"], "enum": ["session", "api_key"]},
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
                },
            },
            {
                "connection-type": "clinone",
                "hook-class-name": f"{_PACKAGE}.hooks.clinone.ClinOneHook",
                "hook-name": "ClinOne",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port"],
                    "relabeling": {"host": "Base URL of the API", "login": "Client ID", "password": "Client secret"},
                    "placeholders": {"host": "https://api.clinone.example"},
                },
                "conn-fields": {
                    "auth_url": {
                        "label": "Token URL",
                        "description": "The token endpoint of your environment, with tenant and policy.",
                        "schema": {"type": ["string", "null"], "format": "url"},
                    },
                    "scope": {
                        "label": "Scope",
                        "description": "What a token is asked for: https://{tenant}.onmicrosoft.com/{api}/.default",
                        "schema": {"type": ["string", "null"]},
                    },
                    "identifiers": {
                        "label": "Identifiers",
                        "description": (
                            "Which study and site is which: JSON with studies and sites, each OID and identifier; or "
                            "the address of a file that holds it."
                        ),
                        "schema": {"type": ["string", "null"]},
                    },
                    "token_cache": {
                        "label": "Token cache",
                        "description": (
                            "Who shares a token: one process (memory), all processes of a host (file), or the whole "
                            "deployment too (variable). Empty: file. Stored tokens are encrypted with the secret."
                        ),
                        "schema": {"type": ["string", "null"], "enum": ["memory", "file", "variable"]},
                    },
                    "request_timeout": {
                        "label": "Request time-out (s)",
                        "description": "How long ClinOne may stay silent within a request. Empty: 300 seconds.",
                        "schema": {"type": ["number", "null"], "minimum": 1},
                    },
                    "verify": {
                        "label": "TLS verification",
                        "description": "Path of a CA bundle to trust. Empty: the usual authorities. false: none.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "allow_http": {
                        "label": "Allow plain http",
                        "description": "Send secret and data unencrypted. Loopback needs no such permission.",
                        "schema": {"type": ["boolean", "null"], "default": False},
                    },
                    "signer": {
                        "label": "Signer",
                        "description": (
                            "package.module.function that returns further headers for a request, where ClinOne wants "
                            "an HMAC. Empty: none."
                        ),
                        "schema": {"type": ["string", "null"]},
                    },
                    "hmac_client_key": {
                        "label": "HMAC client key",
                        "description": "Handed to the signer.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "hmac_secret_key": {
                        "label": "HMAC secret key",
                        "description": "Handed to the signer.",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                },
            },
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
