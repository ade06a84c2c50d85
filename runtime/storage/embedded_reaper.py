"""Stops the embedded PostgreSQL when the last process that uses it has ended, however it ended.

`embedded.py` runs this file by its path, as a process of its own that outlives whoever started the
server; standard library only, so that it stays small. It waits for the lock that every user of the
server shares, and whose release is the kernel's business.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path


def main(
    users_lock: str, turn_lock: str, alive_fd: int, *, user: int, group: int, stop: list[str]
) -> None:
    """Wait for the last user, then run `stop` as `user`; a new user meanwhile is waited for too."""
    with Path(users_lock).open("rb") as users, Path(turn_lock).open("rb") as turn:
        while True:
            fcntl.flock(users, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_UN)
            fcntl.flock(turn, fcntl.LOCK_EX)
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # someone joined between the two locks
                fcntl.flock(turn, fcntl.LOCK_UN)
                continue
            demoted = (user, group) if os.geteuid() == 0 else (None, None)
            subprocess.run(  # noqa: S603 - `embedded.py` wrote the command
                stop, check=False, cwd="/", user=demoted[0], group=demoted[1]
            )
            os.close(alive_fd)  # before the turn ends: who starts next must start its own reaper
            return


if __name__ == "__main__":
    # A Ray worker kills its children when it ends: be nobody's child. `embedded.py` waits for this.
    if os.fork():
        os._exit(0)
    main(
        sys.argv[1],
        sys.argv[2],
        int(sys.argv[3]),
        user=int(sys.argv[4]),
        group=int(sys.argv[5]),
        stop=sys.argv[6:],
    )
