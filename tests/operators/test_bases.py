"""What the bases of operators leave to those who extend them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_openclinica.operators.bulk import OpenClinicaBulkOperator
from airflow_provider_openclinica.operators.fetched import FetchingOperator
from airflow_provider_openclinica.operators.waiting import WaitingOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator


@pytest.mark.parametrize(
    ("base", "left_out"),
    [
        pytest.param(OpenClinicaBulkOperator, ["prepare"], id="bulk"),
        pytest.param(FetchingOperator, ["deliver", "fetch", "request"], id="fetching"),
        pytest.param(WaitingOperator, ["resume"], id="waiting"),
    ],
)
def test_an_operator_that_lacks_its_own_part_is_refused_when_its_dag_is_read(
    base: type[BaseOperator], left_out: list[str]
) -> None:
    operator: Any = type("Half", (base,), {})
    with pytest.raises(TypeError, match=rf"Half.*{'.*'.join(left_out)}"):
        operator(task_id="half")
