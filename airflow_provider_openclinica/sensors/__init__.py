"""What a DAG author uses to wait for OpenClinica."""
