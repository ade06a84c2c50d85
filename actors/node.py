"""What a process of ours asks of the Ray node that it runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ray

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.settings import Settings


def metrics_directory(settings: Settings) -> Path:
    """Return where all our processes of this node count: a new start of Ray, a new directory."""
    return settings.data_dir / "metrics" / ray.get_runtime_context().get_node_id()
