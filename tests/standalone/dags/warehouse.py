"""The example's two DAGs, whose tries follow at once. A file that does not name airflow is passed over by it."""

from __future__ import annotations

import runpy
from datetime import timedelta
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "example_dags" / "openclinica_nightly_warehouse.py"

loaded = runpy.run_path(str(EXAMPLE))
nightly, changed = loaded["dag"], loaded["downstream"]
for each in nightly.tasks:
    each.retry_delay = timedelta(seconds=1)
nightly.get_task("pull").full_every = None  # everybody was added within the hour: too many, for which all is pulled
