"""What a process of ours asks of the Ray node that it runs on."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import ray


def metrics_directory() -> Path:
    """Return where all our processes of this node count: a new node id, a new directory."""
    node = ray.get_runtime_context().get_node_id()
    return Path(tempfile.gettempdir()) / f"pazpaz-agent-{os.getuid()}" / f"metrics-{node[:16]}"
