"""Which records a question is about, by the clients and the time that it names. Pure.

`search.py` asks before it searches: `narrow` by the question alone, then, where `needs_dates`,
`settle` by when the clients were seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from runtime.messages import SearchScope
from runtime.narrowing.exclusions import looks_beyond_clients, looks_beyond_time
from runtime.narrowing.latest import count_latest
from runtime.narrowing.mentions import choose_meant
from runtime.narrowing.time_spans import find_span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from runtime.messages import Language, NamedClient, SessionDates


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a question narrows the search to.

    `by_name`: the clients were named in the question. `dated`: the span is of a date that it names
    itself. `latest`: of the scope, so many of each client's latest sessions are meant; 0 is all.
    """

    scope: SearchScope
    by_name: bool = False
    dated: bool = False
    latest: int = 0

    @property
    def needs_dates(self) -> bool:
        """Say whether `settle` needs to know when the clients were seen."""
        return self.dated or self.latest > 0


def narrow(
    question: str,
    *,
    client_id: UUID | None,
    named: Sequence[NamedClient],
    today: date,
    language: Language,
) -> Narrowing:
    """Return what the question is about; a client who is given leaves names unread.

    `today` is the day in UTC. In doubt, nothing is narrowed.
    """
    meant = frozenset((client_id,)) if client_id else _choose(question, named)
    span, latest = None, 0
    if not looks_beyond_time(question):
        span = find_span(question, today=today, language=language)
        latest = count_latest(question) if meant else 0
    scope = SearchScope(meant or None)
    if span is not None:
        scope = replace(scope, since=span.since, until=span.until)
    if latest and scope.until is None:
        scope = replace(scope, until=_midnight(today + timedelta(days=1)))
    by_name = bool(meant) and client_id is None
    dated = span is not None and span.dated
    return Narrowing(scope, by_name, dated, latest)


def settle(narrowing: Narrowing, dates: SessionDates | None) -> SearchScope:
    """Return the scope as of when its clients were seen, as the store says of `narrowing.scope`.

    A date before the first session is none of a note's but one that notes tell of, and what was
    since then is everything: neither narrows. The latest sessions are those of their days.
    """
    scope = narrowing.scope
    if narrowing.latest:
        if dates is None or dates.latest is None:
            return replace(scope, since=None, until=None)
        return replace(scope, since=_midnight(dates.latest.astimezone(UTC).date()))
    if narrowing.dated and dates is not None:
        ended = scope.until is not None and scope.until <= dates.first
        whole = scope.until is None and scope.since is not None and scope.since <= dates.first
        if ended or whole:
            return replace(scope, since=None, until=None)
    return scope


def _choose(question: str, named: Sequence[NamedClient]) -> frozenset[UUID]:
    """Return the clients whose records alone the question is about."""
    meant = choose_meant(question, named)
    clients = [client for client in named if client.id in meant]
    return frozenset() if clients and looks_beyond_clients(question, clients) else meant


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
