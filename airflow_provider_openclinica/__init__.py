"""An Apache Airflow provider for OpenClinica: the version, and nothing else, since every ``import airflow`` loads it."""

__version__ = "0.1.0"
