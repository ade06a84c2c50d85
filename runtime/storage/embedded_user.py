"""The operating-system user that the embedded PostgreSQL runs as, and what of the disk is its own.

Called by `embedded.py` alone. It matters to root, because PostgreSQL refuses to run as root; for an
ordinary user it is that user.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from runtime.errors import DatabaseUnavailable

_SYSTEM_USER: Final = "pgserver"
"""Who runs the server when we are root, because PostgreSQL refuses to be."""


def find_account() -> pwd.struct_passwd:
    """Return the operating-system user that the server runs as; as root, make one.

    Raises: DatabaseUnavailable.
    """
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    command = ["useradd", "--system", "--shell", "/usr/sbin/nologin", _SYSTEM_USER]
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        with suppress(FileNotFoundError):  # nor checked: another process may have just made it
            subprocess.run(command, check=False, capture_output=True)  # noqa: S603
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        raise DatabaseUnavailable(
            "The embedded PostgreSQL does not run as root, and the user it would run as could not "
            f"be made. Run as an ordinary user, or make it: {' '.join(command)}"
        ) from None


def let_others_pass(folder: Path) -> None:
    """Let the server's user reach a folder: as root, its data and its binaries may lie below /root.

    Folders on the way may then be passed through, but still not listed.
    """
    for path in (folder, *folder.parents):
        if not path.stat().st_mode & stat.S_IXOTH:
            path.chmod(path.stat().st_mode | stat.S_IXOTH)


def make_private(path: Path, account: pwd.struct_passwd) -> Path:
    """Make a folder that the server's user alone may enter; refuse one that another made."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
    if not private or found.st_uid not in (account.pw_uid, os.geteuid()):
        raise PermissionError
    os.chown(path, account.pw_uid, account.pw_gid)
    return path
