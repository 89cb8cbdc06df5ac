"""Files anywhere: a local path, or any URI that Airflow's ``ObjectStoragePath`` opens, connection in the URI included.

A file that is written appears under its name when it is whole, or not at all. How depends on the place:

    S3, Google, Azure    a store makes an object visible at its close; a failed one is aborted. A second name would cost
                         a copy, the right to delete, and an object that others might take for ours
    everything else      local folders, SFTP and their like show what is being written, so it is written under another
                         name in the same folder and then renamed

Reading and writing stream; the buffers do not grow with the file.
"""

from __future__ import annotations

import contextlib
import posixpath
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_openclinica.errors import ConfigurationError, FileUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK_BYTES = 8 << 20  #: of a buffer; S3 wants parts of 5 MiB or more, and takes 10,000 of them

_REASONS: dict[type[OSError], str] = {
    FileNotFoundError: "there is no such file",
    PermissionError: "permission denied",
    IsADirectoryError: "it is a folder",
}
_APPEARS_AT_CLOSE = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"}


class ObjectStorage:
    """`engine.files.Files` under Airflow. What a place raises in the middle of a file (``OSError``) passes through."""

    def open(self, uri: str) -> BinaryIO:
        """Open a file for reading, from its beginning; it can seek.

        :raises FileUnavailableError: it is not there, or not for us.
        """
        fs, path, _ = _place(uri)
        try:
            return cast("BinaryIO", fs.open(path, "rb", block_size=BLOCK_BYTES))
        except OSError as error:
            raise FileUnavailableError(f"{uri} cannot be opened: {_why(error)}") from error

    def size(self, uri: str) -> int:
        """Return the size of a file, in bytes."""
        fs, path, _ = _place(uri)
        return int(fs.size(path))

    @contextlib.contextmanager
    def create(self, uri: str) -> Iterator[BinaryIO]:
        """Write a file; it replaces one of that name at a clean exit. Folders above it are made where there are any.

        :raises ConfigurationError: the name is taken by a folder.
        """
        fs, path, protocol = _place(uri)
        writing = _uploaded(fs, path) if protocol in _APPEARS_AT_CLOSE else _renamed(fs, path, protocol)
        with writing as file:
            yield file


def _place(uri: str) -> tuple[Any, str, str]:
    """Return the file system, the path on it and its protocol. fsspec's own file objects are real files.

    Airflow's ``open`` would wrap them in an object that zip and XML readers do not take for a file.
    """
    if "://" not in uri:  # Airflow 2 would begin a relative path at the root
        uri = f"file://{Path(uri).absolute()}"
    try:
        path = ObjectStoragePath(uri)
        fs = path.fs
    except ValueError:
        raise ConfigurationError(
            f"Airflow knows no storage for addresses that begin with {uri.partition(':')[0]}://",
            next_step="Install the provider that has it: apache-airflow-providers-amazon[s3fs] for s3, for one.",
        ) from None
    return fs, path.path, path.protocol


def _why(error: OSError) -> str:
    """Say what the matter is, without what a store's own message may quote."""
    return _REASONS.get(type(error), f"the storage raised {type(error).__name__}")


@contextlib.contextmanager
def _uploaded(fs: Any, path: str) -> Iterator[BinaryIO]:
    file = fs.open(path, "wb", block_size=BLOCK_BYTES)
    try:
        yield file
        file.close()
    except BaseException:
        file.discard()
        file.closed = True  # its destructor would otherwise close it, and so publish what there is
        raise


@contextlib.contextmanager
def _renamed(fs: Any, path: str, protocol: str) -> Iterator[BinaryIO]:
    if fs.isdir(path):
        raise ConfigurationError(f"{path} is a folder, and a file was to be written under this name")
    folder, name = posixpath.split(path)
    fs.makedirs(folder, exist_ok=True)
    temporary = posixpath.join(folder, f".{name[:100]}.{uuid.uuid4().hex}.part")
    try:
        with fs.open(temporary, "wb", block_size=BLOCK_BYTES) as file:
            yield file
        if protocol == "file":
            Path(temporary).replace(path)  # one step, whatever stands there
        else:
            fs.mv(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            fs.rm(temporary)
        raise
