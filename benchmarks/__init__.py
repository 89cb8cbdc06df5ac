"""What this package costs. ``python -m benchmarks`` runs all of them; ``--quick`` with small files."""
