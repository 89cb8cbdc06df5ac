"""An Apache Airflow provider for OpenClinica. Only a version here: every ``import airflow`` loads this module."""

__version__ = "0.1.0"
