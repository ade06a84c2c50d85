"""What the catalogue hands to a vendor's file, whichever the vendor.

Each file turns it into what its own client takes, in `make_embedder` and `make_chat`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from runtime.ports import Clock


@dataclass(frozen=True, slots=True)
class ProviderOptions:
    """One provider's configuration for one operation, with its defaults filled in.

    `api_key` is None only where the vendor may need none; `api_version` is Azure's. `dimensions` is
    the length of the model's vectors, to be asked of a vendor that can choose; 0 for chat. Never
    crosses processes.
    """

    provider: str
    model: str
    base_url: str | None
    api_key: SecretStr | None
    api_version: str | None
    dimensions: int
    clock: Clock
