from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from runtime.clock import ManualClock
from runtime.errors import ProviderTimeout, ProviderUnavailable
from runtime.messages import Embedded, EmbeddingModel
from runtime.resilience.fallback import FallbackEmbedder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.messages import InputType, Priority


class Vendor:
    """Answers with its number in each row, or fails, `takes_s` later."""

    def __init__(self, number: int, clock: ManualClock, *, takes_s: float = 0) -> None:
        self.model = EmbeddingModel(f"vendor{number}", "m", 2)
        self.fails = False
        self.limits_s: list[float] = []
        self._number = number
        self._clock = clock
        self._takes_s = takes_s

    async def embed_text(self, text: str, *, input_type: InputType, timeout_s: float) -> Embedded:
        return await self.embed_texts([text], input_type=input_type, timeout_s=timeout_s)

    async def embed_texts(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        timeout_s: float,
        priority: Priority = "interactive",
    ) -> Embedded:
        del input_type, priority
        self.limits_s.append(timeout_s)
        self._clock.advance(min(self._takes_s, timeout_s))
        if self._takes_s > timeout_s:
            raise ProviderTimeout(self.model.provider, "m", "embed", "slow", None)
        if self.fails:
            raise ProviderUnavailable(self.model.provider, "m", "embed", "HTTP 503", None)
        return Embedded(np.full((len(texts), 2), self._number, np.float32), len(texts))


async def test_the_first_that_answers_is_asked_last() -> None:
    clock = ManualClock()
    vendors = [Vendor(number, clock) for number in range(3)]
    vendors[0].fails = True
    found = await FallbackEmbedder(vendors, clock=clock).embed_text(
        "a", input_type="query", timeout_s=9
    )
    assert found.vectors[0, 0] == 1
    assert [len(vendor.limits_s) for vendor in vendors] == [1, 1, 0]


async def test_a_vendor_that_hangs_leaves_the_others_their_part_of_the_time() -> None:
    clock = ManualClock()
    vendors = [Vendor(number, clock, takes_s=100) for number in range(3)]
    with pytest.raises(ProviderTimeout, match="vendor2"):
        await FallbackEmbedder(vendors, clock=clock).embed_text(
            "a", input_type="query", timeout_s=9
        )
    assert [vendor.limits_s for vendor in vendors] == [[3], [3], [3]]


async def test_the_stored_name_is_the_first_providers() -> None:
    clock = ManualClock()
    embedder = FallbackEmbedder([Vendor(0, clock), Vendor(1, clock)], clock=clock)
    assert embedder.model.key == "vendor0:m:2"
