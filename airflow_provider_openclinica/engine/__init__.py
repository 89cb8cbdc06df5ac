"""The life of a job, without Airflow: attach or submit, watch, collect, judge."""
