"""Which chat providers a question is put to, and in which order: fallbacks, and the A/B trial.

`write.py` asks it for each question; calling them is done there.
"""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from runtime.ports import ChatModel


class ChatChain:
    """One or more chat models in the order of preference, each of another provider.

    `split` gives some of these providers weights above 0: a workspace is put to one of them first,
    always to the same one as long as the weights stay. Settings have checked both.
    """

    def __init__(
        self, models: Sequence[ChatModel], *, split: Mapping[str, int] | None = None
    ) -> None:
        self._models = tuple(models)
        # In the order of names: to list the arms in another order moves no workspace.
        self._arms = sorted((split or {}).items())

    def arm_of(self, workspace_id: UUID) -> str | None:
        """Return the provider that the trial chose for the workspace, None where none runs.

        A hash spreads the workspaces evenly, and is the same in every process.
        """
        if not self._arms:
            return None
        digest = hashlib.blake2b(workspace_id.bytes, digest_size=8).digest()
        place = int.from_bytes(digest) % sum(weight for _, weight in self._arms)
        bounds = itertools.accumulate(weight for _, weight in self._arms)
        return next(
            name for (name, _), bound in zip(self._arms, bounds, strict=True) if place < bound
        )

    def order_for(self, workspace_id: UUID) -> tuple[ChatModel, ...]:
        """Return the models to try for this workspace: its arm's first, then the others."""
        arm = self.arm_of(workspace_id)
        first = [model for model in self._models if model.provider == arm]
        return (*first, *(model for model in self._models if model.provider != arm))
