"""Published tables into a SQL database: over a DB-API connection, without Airflow."""
