"""The command `migrate`: finds the schema's owner in the configuration, then applies."""

from __future__ import annotations

from runtime import assembly
from runtime.errors import ConfigurationError, DatabaseUnavailable
from runtime.settings import Secrets, Settings
from runtime.storage.migrate import migrate


async def bring_up_to_date(settings: Settings, secrets: Secrets) -> list[str]:
    """Return the names of the migrations that were applied now.

    Raises: ConfigurationError, MigrationError, DatabaseUnavailable.
    """
    if secrets.database_url is None and secrets.database_owner_url is not None:
        reason = "is not set, but AI_DATABASE_OWNER_URL is."
        remedy = "Set both for a database of your own, or neither for the embedded one."
        raise ConfigurationError("DATABASE_URL", reason, remedy)
    owner_url = assembly.owner_url(settings, secrets)
    if owner_url is None:
        reason = "is not set, but DATABASE_URL names a database of your own."
        remedy = "Set it to the same database's URL as the role that owns the schema."
        raise ConfigurationError("AI_DATABASE_OWNER_URL", reason, remedy)
    try:
        return await migrate(owner_url, runtime_role=assembly.runtime_role(settings, secrets))
    except DatabaseUnavailable as error:
        if secrets.database_owner_url is None:
            raise
        told = error.reason.replace("DATABASE_URL", "AI_DATABASE_OWNER_URL")
        raise DatabaseUnavailable(told) from None
