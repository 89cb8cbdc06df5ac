"""An OpenClinica 4 that runs on loopback, for developing and testing: ``python -m airflow_provider_openclinica.sandbox``."""
