"""Whether what an answer quotes stands in the records of the practice that asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from runtime.ingest import BadLine, RecordLine, SessionLine
from runtime.messages import FIELDS, RecordKey, RecordType


@dataclass(frozen=True, slots=True)
class Quote:
    """What an answer claims to stand in a field of a record."""

    record: RecordKey
    field_name: str
    text: str


@dataclass(frozen=True, slots=True)
class QuoteCheck:
    """Of `quotes`, how many are not in their field word for word, and how many foreign.

    A record of another workspace is `foreign`; whether its quote is right is not asked.
    """

    quotes: int
    misquoted: int
    foreign: int


class Practice:
    """The texts of import files, by workspace, to hold quotes against."""

    def __init__(self, lines: Iterable[RecordLine | BadLine]) -> None:
        self._texts: dict[tuple[UUID, RecordKey], dict[str, str]] = {}
        for line in lines:
            if isinstance(line, BadLine):
                continue
            kind: RecordType = "session" if isinstance(line, SessionLine) else "client"
            texts = {name: getattr(line.record, name) for name in FIELDS[kind]}
            self._texts[line.workspace_id, RecordKey(kind, line.record.id)] = texts

    def check_quotes(self, workspace_id: UUID, quotes: Iterable[Quote]) -> QuoteCheck:
        """Hold the quotes of one answer against the records of the asker's workspace."""
        quoted = list(quotes)
        own = [quote for quote in quoted if (workspace_id, quote.record) in self._texts]
        verbatim = [quote for quote in own if self._holds(workspace_id, quote)]
        return QuoteCheck(len(quoted), len(own) - len(verbatim), len(quoted) - len(own))

    def _holds(self, workspace_id: UUID, quote: Quote) -> bool:
        text = self._texts[workspace_id, quote.record].get(quote.field_name, "")
        return bool(quote.text) and quote.text in text
