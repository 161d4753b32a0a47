"""What the entry point `apache_airflow_provider` tells Airflow about this provider."""

from __future__ import annotations

from typing import Any

_INTEGRATION = "Kubeflow Pipelines"


def get_provider_info() -> dict[str, Any]:
    """The provider's parts, in the format of `airflow/provider_info.schema.json`."""
    return {
        "package-name": "airflow-provider-kubeflow",
        "name": "Kubeflow",
        "description": "`Kubeflow Pipelines <https://www.kubeflow.org/docs/components/pipelines/>`__ v2: runs, and waiting for them.",
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://www.kubeflow.org/docs/components/pipelines/",
                "tags": ["service"],
            }
        ],
        **{kind: [_modules(kind)] for kind in ("operators", "hooks", "sensors", "triggers")},
        "connection-types": [_connection_type()],
        "extra-links": ["airflow_kubeflow.links.kubeflow.KubeflowRunLink"],
    }


def _modules(kind: str) -> dict[str, Any]:
    return {"integration-name": _INTEGRATION, "python-modules": [f"airflow_kubeflow.{kind}.kubeflow"]}


def _connection_type() -> dict[str, Any]:
    """The connection's form. `host` and `password` need no extra fields."""
    return {
        "connection-type": "kubeflow",
        "hook-class-name": "airflow_kubeflow.hooks.kubeflow.KubeflowHook",
        "hook-name": "Kubeflow Pipelines",
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "login", "port", "extra"],
            "relabeling": {"host": "API address", "password": "Token"},
            "placeholders": {
                "host": "https://kubeflow.example.com/pipeline: what comes before /apis",
                "password": "bearer token; or name its file below",
            },
        },
        "conn-fields": {
            "ui": _text(
                "UI address", "For links, if it differs from the API's, e.g. https://kubeflow.example.com/_/pipeline"
            ),
            "namespace": _text("Namespace", "Your profile, if Kubeflow has several users"),
            "credentials_file": _text("Token file", "Path of a file with the token; read for every request"),
            "cookie_secret": {
                "label": "Session cookie",
                "schema": {"type": ["string", "null"], "format": "password"},
                "description": "authservice_session=...; for a login page that only knows browsers",
            },
            "ca_file": _text("CA file", "Certificates of the authority that signed the host's certificate"),
            "verify": {
                "label": "Verify TLS",
                "schema": {"type": ["boolean", "null"], "default": True},
                "description": "Whether the host's certificate is checked",
            },
            "timeout": _number("Timeout", 30, "Seconds that one request may take"),
            "retries": {
                "label": "Retries",
                "schema": {"type": ["integer", "null"], "default": 3, "minimum": 0},
                "description": "How often a request is sent again after 5xx, 429 or a connection error",
            },
            "backoff": _number("Backoff", 1, "Seconds before the first retry; each further one waits twice as long"),
        },
    }


def _text(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "schema": {"type": ["string", "null"]}, "description": description}


def _number(label: str, default: float, description: str) -> dict[str, Any]:
    schema = {"type": ["number", "null"], "default": default, "minimum": 0}
    return {"label": label, "schema": schema, "description": description}
