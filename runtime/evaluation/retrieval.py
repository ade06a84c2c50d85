"""How well a configuration finds the records that labelled questions are about.

Called by `pazpaz-agent eval retrieval` and by the scripts under `benchmarks/`, which bring the way
to ask. Knows no database, no provider and no HTTP: rankings in, rates out. Questions in the layout
of public benchmarks are read by `benchmark_layout.py`.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Final, TypeAlias, TypeVar
from uuid import UUID

from pydantic import BaseModel

from runtime.errors import AIAgentError
from runtime.evaluation.labelled_lines import read_lines
from runtime.messages import Language, RecordKey
from runtime.workspaces import workspace_id_for

LANGUAGES: Final[tuple[Language, ...]] = ("he", "en")
DEPTH: Final = 10
"""Records that count; a gold record further down is a miss."""

# --- Labelled questions ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question that any one record of `gold` answers; those records are written in `target`."""

    workspace_id: UUID
    text: str
    language: Language
    target: Language
    gold: frozenset[RecordKey]


class _QuestionLine(BaseModel):
    """A line of `questions.jsonl`; other keys are ignored."""

    workspace: str
    question: str
    lang: Language
    target_lang: Language | None = None
    relevant_session_ids: list[UUID] = []
    relevant_client_ids: list[UUID] = []


def read_questions(path: Path) -> list[LabelledQuestion]:
    """Return the questions of a file, without those that name no gold record.

    Raises: InvalidRecord, naming the line.
    """
    questions = []
    otherwise = f"is not a labelled question with {', '.join(_QuestionLine.model_fields)}."
    for line in read_lines(path, _QuestionLine, otherwise=otherwise):
        sessions = (RecordKey("session", each) for each in line.relevant_session_ids)
        clients = (RecordKey("client", each) for each in line.relevant_client_ids)
        questions.append(
            LabelledQuestion(
                workspace_id_for(line.workspace),
                line.question,
                line.lang,
                line.target_lang or line.lang,
                frozenset((*sessions, *clients)),
            )
        )
    return [question for question in questions if question.gold]


# --- Rates ----------------------------------------------------------------------------------

Rank: TypeAlias = Callable[[LabelledQuestion], Awaitable[Sequence[RecordKey]]]
"""Returns what was found, best first. A record that several passages found counts by its best."""

RankByMethod: TypeAlias = Callable[[LabelledQuestion], Awaitable[Mapping[str, Sequence[RecordKey]]]]
"""Returns what each method found, as `Rank` does."""

_Told = TypeVar("_Told")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where the gold records stood, from 1, those within `DEPTH`; `failed` where asking raised."""

    question: LabelledQuestion
    ranks: tuple[int, ...]
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates, 0 to 1, over `n` questions; the `failed` among them are misses.

    `hit_at_k` is the share of questions with a gold record among the first k; `mrr_at_10` the mean
    of 1 / the first gold record's rank, 0 beyond 10; `ndcg_at_10` wants every gold record, so that
    it is low where they are alternatives. All are 0 where n is.

    Source: Järvelin & Kekäläinen 2002, Cumulated gain-based evaluation of IR techniques.
    """

    n: int
    failed: int
    hit_at_5: float
    hit_at_10: float
    mrr_at_10: float
    ndcg_at_10: float


@dataclass(frozen=True, slots=True)
class RetrievalReport:
    """The rates of all questions, and of each pair such as `he-en`: asked in `he`, gold in `en`."""

    overall: Rates
    by_languages: dict[str, Rates]


def render_json(reports: Mapping[str, RetrievalReport]) -> str:
    """Return the reports of some methods, by their names, as a JSON object."""
    return json.dumps({method: asdict(report) for method, report in reports.items()}, indent=2)


async def evaluate_retrieval(
    questions: Sequence[LabelledQuestion],
    rank: Rank,
    *,
    concurrency: int = 4,
    on_done: Callable[[Outcome], None] = lambda _: None,
) -> RetrievalReport:
    """Ask every question, at most `concurrency` at once; `on_done` gets each outcome as it comes.

    An error of ours is that question's failure; any other ends the evaluation.
    """

    async def ask(question: LabelledQuestion) -> Outcome:
        try:
            outcome = Outcome(question, find_gold(await rank(question), question.gold))
        except AIAgentError:
            outcome = Outcome(question, (), failed=True)
        on_done(outcome)
        return outcome

    return summarize(await _ask_all(questions, ask, concurrency))


async def compare_methods(
    questions: Sequence[LabelledQuestion],
    rank: RankByMethod,
    *,
    methods: Sequence[str],
    concurrency: int = 4,
    on_done: Callable[[], None] = lambda: None,
) -> dict[str, RetrievalReport]:
    """Ask every question once and return the report of each method, in the order given.

    Errors are as in `evaluate_retrieval`: a question that fails has failed every method.
    """

    async def ask(question: LabelledQuestion) -> dict[str, Outcome]:
        try:
            found = await rank(question)
            outcomes = {
                method: Outcome(question, find_gold(found[method], question.gold))
                for method in methods
            }
        except AIAgentError:
            outcomes = dict.fromkeys(methods, Outcome(question, (), failed=True))
        on_done()
        return outcomes

    told = await _ask_all(questions, ask, concurrency)
    return {method: summarize([outcomes[method] for outcomes in told]) for method in methods}


async def _ask_all(
    questions: Sequence[LabelledQuestion],
    ask: Callable[[LabelledQuestion], Awaitable[_Told]],
    concurrency: int,
) -> list[_Told]:
    places = asyncio.Semaphore(concurrency)

    async def ask_in_turn(question: LabelledQuestion) -> _Told:
        async with places:
            return await ask(question)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask_in_turn(question)) for question in questions]
    return [task.result() for task in tasks]


def find_gold(found: Sequence[RecordKey], gold: frozenset[RecordKey]) -> tuple[int, ...]:
    """Return the ranks, from 1, of the gold records among the first `DEPTH`."""
    records = list(dict.fromkeys(found))[:DEPTH]
    return tuple(place for place, record in enumerate(records, 1) if record in gold)


def summarize(outcomes: Sequence[Outcome]) -> RetrievalReport:
    """Return the rates over all outcomes and over each pair of languages that occurs."""
    groups = {
        f"{asked}-{target}": [
            outcome
            for outcome in outcomes
            if (outcome.question.language, outcome.question.target) == (asked, target)
        ]
        for asked, target in product(LANGUAGES, LANGUAGES)
    }
    return RetrievalReport(
        overall=_rate(outcomes),
        by_languages={pair: _rate(group) for pair, group in groups.items() if group},
    )


def _rate(outcomes: Sequence[Outcome]) -> Rates:
    n = max(len(outcomes), 1)
    first = [min(outcome.ranks) for outcome in outcomes if outcome.ranks]
    return Rates(
        n=len(outcomes),
        failed=sum(outcome.failed for outcome in outcomes),
        hit_at_5=round(sum(rank <= 5 for rank in first) / n, 4),  # noqa: PLR2004 the k of its name
        hit_at_10=round(len(first) / n, 4),
        mrr_at_10=round(sum(1 / rank for rank in first) / n, 4),
        ndcg_at_10=round(sum(map(_find_ndcg, outcomes)) / n, 4),
    )


def _find_ndcg(outcome: Outcome) -> float:
    best = range(1, min(len(outcome.question.gold), DEPTH) + 1)
    return _sum_gains(outcome.ranks) / _sum_gains(best) if outcome.ranks else 0.0


def _sum_gains(ranks: Iterable[int]) -> float:
    return sum(1 / math.log2(1 + rank) for rank in ranks)
