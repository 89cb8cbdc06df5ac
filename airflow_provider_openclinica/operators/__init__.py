"""What a DAG author uses to send data to OpenClinica."""
