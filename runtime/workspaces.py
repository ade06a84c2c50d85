"""A practice's name to its id, the same on every machine.

Called wherever a person may name a workspace: import files, tokens, keys, evaluations. Nothing here
reads the database: a name is no more than a short way to write a UUID.
"""

from __future__ import annotations

import unicodedata
from typing import Final
from uuid import UUID, uuid5

_NAMESPACE: Final = UUID("64e3701f-3a69-4deb-845b-bef3bc44aae8")
"""Never change it: every workspace that was ever named would become another one."""


def workspace_id_for(name_or_uuid: str) -> UUID:
    """Return the UUID as it is, or the one that the name stands for.

    White space around a name and its Unicode normal form make no difference; capitals do.
    """
    text = unicodedata.normalize("NFC", name_or_uuid.strip())
    try:
        return UUID(text)
    except ValueError:
        return uuid5(_NAMESPACE, text)
