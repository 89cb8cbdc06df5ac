"""What is done with OpenClinica 3 beyond single calls: write once, read back."""
