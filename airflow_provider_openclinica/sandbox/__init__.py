"""An OpenClinica, 4 or 3, that runs on loopback, for developing and testing; start it with ``python -m``."""
