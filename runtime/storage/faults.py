"""The border: asyncpg's exceptions become ours here, and none of their text comes along.

Everything that speaks to asyncpg does so inside `translated()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from runtime.errors import DatabaseError, DatabaseUnavailable, StatementTimeout

_UNAVAILABLE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,  # a replica after a fail-over
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # TimeoutError among them
)
_TIMEOUTS: Final = (
    asyncpg.QueryCanceledError,
    asyncpg.TransactionTimeoutError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
FAULTS: Final = (asyncpg.PostgresError, *_UNAVAILABLE)


def translate(error: BaseException) -> DatabaseError:
    """Return our error for one of asyncpg's; it names the class and SQLSTATE, never their text."""
    code = getattr(error, "sqlstate", None)
    name = type(error).__name__ + (f" (SQLSTATE {code})" if code else "")
    if isinstance(error, _TIMEOUTS):
        return StatementTimeout(f"The database ended a statement that took too long: {name}.")
    if isinstance(error, _UNAVAILABLE):
        return DatabaseUnavailable(
            f"The database cannot be reached: {name}. "
            "Check that it runs and that DATABASE_URL is right."
        )
    return DatabaseError(f"The database refused a statement: {name}.")


@contextmanager
def translated() -> Iterator[None]:
    """Let asyncpg's faults out as ours.

    Raises: DatabaseUnavailable, StatementTimeout, DatabaseError.
    """
    try:
        yield
    except FAULTS as error:
        raise translate(error) from None
