"""Operators that move clinical data out of OpenClinica."""
