"""What this provider adds to ``import airflow``, which every command and every task pays, and to a DAG file.

python -m benchmarks.provider_import [--quick]

Medians over fresh processes. Our share of ``import airflow`` is measured by itself: comparing that import with and
without us would drown in its seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from typing import Any

#: What Airflow does for each provider: load the module of the entry point, call it, check what it returns.
SHARE = """
import importlib.util, json, pathlib, time
import jsonschema
airflow = importlib.util.find_spec("airflow").submodule_search_locations[0]  # found, and not imported: that loads us
schema = json.loads(pathlib.Path(airflow, "provider_info.schema.json").read_text())
check = jsonschema.validators.validator_for(schema)(schema)
start = time.perf_counter()
info = importlib.import_module("airflow_provider_openclinica.get_provider_info").get_provider_info()
loaded = time.perf_counter()
check.validate(info)
print(json.dumps([loaded - start, time.perf_counter() - loaded]))
"""
WHOLE = """
import json, sys, time
start = time.perf_counter()
import airflow
seconds = time.perf_counter() - start
print(json.dumps([seconds, sorted(name for name in sys.modules if name.startswith("airflow_provider_openclinica"))]))
"""
DAG_FILE = """
import json, time
from airflow.providers.common.compat.sdk import DAG, BaseHook, BaseOperator, BaseSensorOperator, ObjectStoragePath
start = time.perf_counter()
import airflow_provider_openclinica.operators.clinicaldata
print(json.dumps([time.perf_counter() - start]))
"""


def python(home: str, program: str) -> Any:
    """Run a program in a fresh process with an Airflow home of its own; returns the JSON of its last line."""
    environment = {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def milliseconds(values: list[float]) -> str:
    """Return the median."""
    return f"{statistics.median(values) * 1000:.1f} ms"


def main(*, quick: bool = False) -> None:
    """Measure and print."""
    rounds = 3 if quick else 9
    with tempfile.TemporaryDirectory(prefix="openclinica-bench-") as home:
        python(home, WHOLE)  # writes Airflow's configuration and the byte code
        whole = [python(home, WHOLE) for _ in range(rounds)]
        share = [python(home, SHARE) for _ in range(rounds)]
        dag_file = [python(home, DAG_FILE)[0] for _ in range(rounds)]
    loaded, checked = ([values[place] for values in share] for place in (0, 1))
    print(
        f"import airflow  {milliseconds([seconds for seconds, _ in whole])}; modules of ours in it: {len(whole[0][1])}"
    )
    print(f"our share       {milliseconds(loaded)} to load, {milliseconds(checked)} for Airflow to check")
    print(f"a DAG file      {milliseconds(dag_file)} to import the import operator")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    main(quick=parser.parse_args().quick)
