"""Finds the clients that a question may name, and when they were seen. Called before narrowing.

`records.py` stores the words; which of the clients found are meant, the answering step decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from runtime.language.name_words import list_asked_words, list_stored_words
from runtime.messages import Client, NamedClient, SearchScope, SessionDates
from runtime.storage.pool import Connection, Database
from runtime.storage.queries import QUERIES
from runtime.storage.terms import list_terms

USUAL_CLIENTS: Final = 5
"""A word that stands in the notes of so many clients who do not bear it is an ordinary one."""
MOST_FIELDS_COUNTED: Final = 1_000
"""How far that is looked for: some milliseconds for the commonest word."""
_AT_A_WORDS_END: Final = str.maketrans("כמנפצ", "ךםןףץ")


class PostgresClientDirectory:
    """`ClientDirectory` in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_named(self, workspace_id: UUID, question: str) -> list[NamedClient]:
        """Return each client of whose name a word stands in the question; one round trip.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        asked = asked_names(question)
        if not asked:
            return []
        async with self._database.workspace(workspace_id) as connection:
            rows = await connection.fetch(
                QUERIES["find_named_clients"],
                list(asked),
                list(asked.values()),
                MOST_FIELDS_COUNTED,
                USUAL_CLIENTS,
            )
        return [NamedClient(row["id"], row["name"], frozenset(row["usual_words"])) for row in rows]

    async def find_session_dates(
        self, workspace_id: UUID, scope: SearchScope, *, latest: int
    ) -> SessionDates | None:
        """Return when the scope's clients were first seen, and last within it; None for never.

        Raises: DatabaseUnavailable, StatementTimeout.
        """
        clients = None if scope.clients is None else sorted(scope.clients)
        async with self._database.workspace(workspace_id) as connection:
            row = await connection.fetch_row(
                QUERIES["find_session_dates"], clients, scope.since, scope.until, latest
            )
        if row is None or row["first"] is None:
            return None
        return SessionDates(row["first"], row["latest"])


async def store_name_words(connection: Connection, clients: Sequence[Client]) -> None:
    """Make clients, who were written in this transaction, findable by the words of their names."""
    words = [(client.id, word) for client in clients for word in list_stored_words(client.name)]
    await connection.execute(
        QUERIES["store_name_words"],
        [client.id for client in clients],
        [client_id for client_id, _ in words],
        [word for _, word in words],
    )


def asked_names(question: str) -> Mapping[str, int | None]:
    """Return what of a question may be a word of a name, each with the term that notes have of it.

    None is a word that notes are not searched by, since all of them have it.
    """
    words = (word for asked in list_asked_words(question) for word in asked.lookups)
    return {word: _term_of(word) for word in words}


def _term_of(word: str) -> int | None:
    written = word[:-1] + word[-1:].translate(_AT_A_WORDS_END)
    return next(iter(list_terms(written)), None)
