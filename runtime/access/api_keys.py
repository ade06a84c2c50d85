"""What an API key looks like: how one is made, told apart, and hashed.

`credentials.py` reads keys and the key stores make them; neither may have a form of its own.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final
from uuid import UUID

KEY_PREFIX: Final = "pzk_"
_RANDOM_BYTES: Final = 32
_FORM: Final = re.compile(rf"{KEY_PREFIX}(?P<workspace>[0-9a-f]{{32}})_[A-Za-z0-9_-]{{43}}")


def make_key(workspace_id: UUID) -> str:
    """Return a new key: its prefix, the workspace, and 43 random URL-safe characters."""
    return f"{KEY_PREFIX}{workspace_id.hex}_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def workspace_of(text: str) -> UUID | None:
    """Return the workspace that a key names, or None where the text is no key."""
    match = _FORM.fullmatch(text)
    return None if match is None else UUID(match["workspace"])


def digest_key(text: str) -> bytes:
    """Return what is stored of a key. A plain hash will do: it has 256 random bits to guess."""
    return hashlib.sha256(text.encode()).digest()
