"""Airflow connections turned into clients, Airflow Variables into a token store, storage into files."""
