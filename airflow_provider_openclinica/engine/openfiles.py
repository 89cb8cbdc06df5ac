"""Let this process open as many files as it is about to need.

A study may have a thousand item groups, and each has a table that is written while the data are read once. Most systems
let a process open 1024 files, some 256, and let it ask for more.
"""

from __future__ import annotations

import resource

from airflow_provider_openclinica.errors import ConfigurationError

BESIDES = 256  #: connections, logs, libraries


def make_room_for(files: int) -> None:
    """Raise the limit where it is too low. It stays so until the process ends.

    :param files: how many will be open at the same time.
    :raises ConfigurationError: the system allows this process no more.
    """
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files + BESIDES
    if limit == resource.RLIM_INFINITY or limit >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    except (ValueError, OSError):
        raise ConfigurationError(
            f"{files} tables are written at the same time, and a process may have {most} files open here",
            next_step=f"Raise the hard limit of the workers (ulimit -Hn) to {wanted}, or leave 'wide' out of tables.",
        ) from None
