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
import hashlib
import os
import posixpath
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_openclinica.errors import ConfigurationError, FileUnavailableError, OpenClinicaError

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK_BYTES = 8 << 20  #: of a buffer; S3 wants parts of 5 MiB or more, and takes 10,000 of them

_REASONS: dict[type[Exception], str] = {
    FileNotFoundError: "there is no such file, folder or bucket",
    PermissionError: "permission denied",
    IsADirectoryError: "it is a folder",
    NotADirectoryError: "a part of it is a file and no folder",
}
_APPEARS_AT_CLOSE = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"}


class ObjectStorage:
    """`engine.files.Files` under Airflow. What a place raises while a file is read passes through as it is."""

    def open(self, uri: str) -> BinaryIO:
        """Open a file for reading, from its beginning; it can seek.

        :raises FileUnavailableError: it is not there, or not for us.
        """
        fs, path, _ = _place(uri)
        try:
            return _opened(fs, path)
        except Exception as error:
            raise FileUnavailableError(f"{uri} cannot be opened: {_why(error)}") from error

    def check_target(self, uri: str) -> None:
        """Find out, as far as that goes without writing a file, whether one can be written here later.

        :param uri: the file, or a folder if it ends in ``/``. Folders are made where there are any; object stores are
            not asked.
        :raises ConfigurationError: the address cannot work, or its name is taken by a folder.
        :raises FileUnavailableError: the folder cannot be made.
        """
        fs, path, protocol = _place(uri)
        if protocol not in _APPEARS_AT_CLOSE:
            with _named(uri):
                _make_folder(fs, path, uri.endswith("/"))

    @contextlib.contextmanager
    def create(self, uri: str, *, private: bool = False) -> Iterator[BinaryIO]:
        """Write a file; it replaces one of that name at a clean exit. Folders above it are made where there are any.

        :param private: let nobody but this user read a local file, from its first byte on. Other places have rules of
            their own.
        :raises ConfigurationError: the name is taken by a folder.
        :raises FileUnavailableError: the place does not take it.
        """
        fs, path, protocol = _place(uri)
        writing = _uploaded(fs, path) if protocol in _APPEARS_AT_CLOSE else _renamed(fs, path, protocol, private)
        with _named(uri), writing as file:
            yield file

    def remove(self, uri: str) -> None:
        """Remove a file, or see that there is none.

        :raises FileUnavailableError: the place does not let us.
        """
        fs, path, _ = _place(uri)
        try:
            fs.rm(path)
        except FileNotFoundError:
            return
        except Exception as error:
            raise FileUnavailableError(f"{uri} cannot be removed: {_why(error)}") from error


class Measured:
    """A file that is being written, with the number and the digest of its bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest = file, hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Write some bytes."""
        self._file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)

    @property
    def sha256(self) -> str:
        """Digest of what was written, in hexadecimal."""
        return self._digest.hexdigest()


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


def _opened(fs: Any, path: str) -> BinaryIO:
    file = fs.open(path, "rb", block_size=BLOCK_BYTES)
    if (getattr(file, "details", None) or {}).get("type") == "directory":  # s3fs would read an empty file
        raise IsADirectoryError
    return cast("BinaryIO", file)


def _why(error: Exception) -> str:
    """Say what the matter is, without what a store's own message may quote."""
    if type(error) is OSError and error.errno:
        return os.strerror(error.errno)  # a full disk has no class of its own
    return _REASONS.get(type(error), f"the storage raised {type(error).__name__}")


@contextlib.contextmanager
def _named(uri: str) -> Iterator[None]:
    """Name the file that cannot be written. Stores' libraries raise classes of their own, such as botocore's."""
    try:
        yield
    except OpenClinicaError:
        raise
    except Exception as error:
        if type(error).__module__ == "builtins" and not isinstance(error, OSError):
            raise  # no storage's
        raise FileUnavailableError(
            f"{uri} cannot be written: {_why(error)}", next_step="See that this worker may write there, then retry."
        ) from error


def _make_folder(fs: Any, path: str, is_folder: bool) -> None:
    if not is_folder and fs.isdir(path):
        raise ConfigurationError(
            f"{path} is a folder, and a file was to be written under this name",
            next_step="End the address in / if the folder is meant.",
        )
    fs.makedirs(path if is_folder else posixpath.dirname(path), exist_ok=True)


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
def _renamed(fs: Any, path: str, protocol: str, private: bool) -> Iterator[BinaryIO]:
    _make_folder(fs, path, is_folder=False)
    folder, name = posixpath.split(path)
    temporary = posixpath.join(folder, f".{name[:100]}.{uuid.uuid4().hex}.part")
    try:
        if private and protocol == "file":
            Path(temporary).touch(mode=0o600, exist_ok=False)
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
