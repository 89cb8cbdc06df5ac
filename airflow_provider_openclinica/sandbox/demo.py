"""The study the sandbox comes with: Juno, an invented trial in adults with type 2 diabetes and high blood pressure.

Nothing in it is real. ``demo_study.xml`` is ODM metadata as OpenClinica exports them, and a good start for a study of
one's own: run the sandbox with ``--study FILE.xml``.
"""

from __future__ import annotations

from importlib.resources import files
from io import BytesIO

from airflow_provider_openclinica.sandbox.study import Study, load


def demo_study() -> Study:
    """Load the demo study: ``S_JUNO`` with the sites ``S_BOSTON`` and ``S_LEIDEN`` and their participants."""
    return load(BytesIO(files(__package__).joinpath("demo_study.xml").read_bytes()))
