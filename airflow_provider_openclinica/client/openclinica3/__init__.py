"""A client of OpenClinica 3 without Airflow: ``client.OpenClinica3Client`` joins the parts."""
