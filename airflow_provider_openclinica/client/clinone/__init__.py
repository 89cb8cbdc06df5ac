"""ClinOne API v5 without Airflow: tokens, any request, and which of its identifiers stands for which OID."""
