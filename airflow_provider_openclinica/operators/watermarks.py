"""Where an incremental pull keeps its watermark: in Airflow's asset state store, or in a file.

    marks_of(context, operator, asset, name)    Airflow's, if there is one
    FileMarks(files, uri)                       else

The store is there in Airflow 3.3 and later, and for assets that the task declares only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import Asset

from airflow_provider_openclinica.errors import FileUnavailableError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

    from airflow_provider_openclinica.engine.files import PrivateFiles
    from airflow_provider_openclinica.engine.increments import Marks


@dataclass(frozen=True, slots=True)
class AssetMarks:
    """A watermark in the state of an asset.

    :param state: of the asset, as Airflow gives it.
    """

    state: Any
    key: str

    def read(self) -> str | None:
        """Return what was kept last."""
        return cast("str | None", self.state.get(self.key))

    def write(self, text: str) -> None:
        """Keep this from now on."""
        self.state.set(self.key, text)


@dataclass(frozen=True, slots=True)
class FileMarks:
    """A watermark in a file."""

    files: PrivateFiles
    uri: str

    def read(self) -> str | None:
        """Return what was kept last.

        :raises FileUnavailableError: the file cannot be read, or nobody can tell whether there is one.
        """
        try:
            with self.files.open(self.uri) as file:
                return file.read().decode("utf-8", "replace")
        except FileUnavailableError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def write(self, text: str) -> None:
        """Keep this from now on.

        :raises FileUnavailableError: the place does not take it.
        """
        with self.files.create(self.uri, private=True) as file:
            file.write(text.encode())


def marks_of(context: Context, operator: BaseOperator, asset: Asset | None, name: str) -> Marks | None:
    """Return the state store of an output; None where Airflow has none for it.

    :param asset: the output; where the DAG's author has named the task's outlets, it is the first of those instead.
    :param name: of the watermark, among others that the asset may have.
    """
    states = context.get("asset_state_store")
    if states is None:
        return None
    declared = [outlet for outlet in operator.outlets if isinstance(outlet, Asset)]
    if not declared:
        return None
    return AssetMarks(states[asset if asset in declared else declared[0]], name)
