"""Whole DAGs run here as in ``tests/dags``."""

from tests.dags.conftest import run_dag

__all__ = ["run_dag"]
