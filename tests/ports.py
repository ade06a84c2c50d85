"""Ports for tests that start servers."""

from __future__ import annotations

import itertools
import random
import socket
from typing import Final

RESERVED: Final = range(32_000, 32_768)
"""Below the ports that the system gives to outgoing connections (32768 on), above those of Ray's
workers (to 19999) and of replicas (to 32000): a port found free stays free until it is used."""

_candidates = itertools.cycle(random.sample(RESERVED, len(RESERVED)))


def free_port() -> int:
    """Return a port that nobody listens on, and that nothing but a caller of this will take."""
    for port in itertools.islice(_candidates, len(RESERVED)):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
    message = f"no port of {RESERVED} is free"
    raise RuntimeError(message)
