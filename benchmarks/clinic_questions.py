"""Asks every labelled question over HTTP and reports what an application would see, as JSON.

    python benchmarks/clinic_questions.py --data DATA > report.json

Needs a running server with the data imported and embedded, and the secret that it checks tokens
with: AI_JWT_SECRET, or the demo's. `saved` is by how much of the first answer's time the same
question got it sooner the second time, where the cache served it. `found` counts the records that
answers cite, best similarity first: the route shows no others, so it is at most what the search
itself found, which `pazpaz-agent eval retrieval` measures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import httpx

from benchmarks.quotes import Practice, Quote
from runtime.access.credentials import make_token
from runtime.access.demo_secret import signing_secret
from runtime.clock import SystemClock
from runtime.errors import RetrievalError
from runtime.evaluation.retrieval import (
    LabelledQuestion,
    Outcome,
    evaluate_retrieval,
    read_questions,
)
from runtime.ingest import read_records
from runtime.messages import RecordKey
from runtime.settings import load

TOKEN_TTL_S: Final = 4 * 3600
MAX_RESULTS: Final = 10
QUESTIONS: Final = "questions.jsonl"
RECORDS: Final = ("clients.jsonl", "sessions.jsonl")
LOCAL_HOSTS: Final = ("127.0.0.1", "localhost")


class Asker:
    """Asks over HTTP, and keeps count of what the answers show."""

    def __init__(self, client: httpx.AsyncClient, practice: Practice, *, twice: bool) -> None:
        self._client = client
        self._practice = practice
        self._tokens: dict[UUID, str] = {}
        self.durations_ms: list[float] = []
        self.again_ms: defaultdict[str, list[float]] = defaultdict(list)
        self.saved: list[float] = []
        self._twice = twice
        self.errors: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()

    async def rank(self, question: LabelledQuestion) -> Sequence[RecordKey]:
        """Return the records that the answer cites, best first.

        Raises: RetrievalError, where there was no answer.
        """
        reply, took_ms = await self._post(question)
        self.durations_ms.append(took_ms)
        if self._twice:
            again, again_ms = await self._post(question)
            use = again.json()["metadata"]["cache"]
            self.again_ms[use].append(again_ms)
            if use == "exact":
                self.saved.append(1 - again_ms / took_ms)
        cited = sorted(reply.json()["citations"], key=lambda each: -each["similarity"])
        quotes = [
            Quote(
                RecordKey(each["type"], UUID(each[f"{each['type']}_id"])),
                each["field_name"],
                text,
            )
            for each in cited
            for text in (each["quote"], *(span["quote"] for span in each["spans"]))
        ]
        self._count(question, quotes, answered=bool(cited))
        return [quote.record for quote in quotes]

    async def _post(self, question: LabelledQuestion) -> tuple[httpx.Response, float]:
        """Return the reply and the milliseconds it took.

        Raises: RetrievalError.
        """
        started_s = time.perf_counter()
        try:
            reply = await self._client.post(
                "/api/v1/ai/agent/chat",
                headers={"Authorization": f"Bearer {self._find_token(question.workspace_id)}"},
                json={
                    "query": question.text,
                    "max_results": MAX_RESULTS,
                    "use_cache": self._twice,
                },
            )
        except httpx.HTTPError as error:
            self.errors[type(error).__name__] += 1
            raise RetrievalError(type(error).__name__) from None
        if reply.is_error:
            self.errors[f"HTTP {reply.status_code}"] += 1
            raise RetrievalError(f"HTTP {reply.status_code}")
        return reply, (time.perf_counter() - started_s) * 1000

    def _count(
        self, question: LabelledQuestion, quotes: Sequence[Quote], *, answered: bool
    ) -> None:
        check = self._practice.check_quotes(question.workspace_id, quotes)
        wrong = bool(check.misquoted or check.foreign)
        self.seen.update(asdict(check))
        self.seen.update(answers=1, without_citation=not answered, with_a_wrong_quote=wrong)

    def _find_token(self, workspace_id: UUID) -> str:
        if workspace_id not in self._tokens:
            settings, secrets = load()
            self._tokens[workspace_id] = make_token(
                signing_secret(settings, secrets),
                workspace_id=workspace_id,
                scopes=["chat"],
                subject="benchmark",
                ttl_s=TOKEN_TTL_S,
                clock=SystemClock(),
                issuer=settings.jwt_issuer,
                audience=settings.jwt_audience,
            )
        return self._tokens[workspace_id]


async def measure(
    data: Path, *, url: str, concurrency: int, limit: int | None, twice: bool
) -> dict[str, object]:
    """Return the report on the questions of `data`, or on the first `limit` of them.

    Each is asked `twice` in a row for the cache's sake; else the cache has no part in it.
    """
    questions = read_questions(data / QUESTIONS)[:limit]
    files = [data / name for name in RECORDS]
    practice = Practice(chain.from_iterable(read_records(path) for path in files))
    done = 0

    def show(_: Outcome) -> None:
        nonlocal done
        done += 1
        print(f"\r{done} of {len(questions)}", end="", file=sys.stderr, flush=True)

    async with httpx.AsyncClient(base_url=url, timeout=120, trust_env=False) as client:
        asker = Asker(client, practice, twice=twice)
        started_s = time.perf_counter()
        found = await evaluate_retrieval(
            questions, asker.rank, concurrency=concurrency, on_done=show
        )
        duration_s = time.perf_counter() - started_s
    print(file=sys.stderr)
    return {
        "found": asdict(found),
        "max_results": MAX_RESULTS,
        "concurrency": concurrency,
        "seen": dict(asker.seen),
        "errors": dict(asker.errors),
        "question_ms": _summarize_ms(asker.durations_ms),
        "again_ms": {use: _summarize_ms(times) for use, times in asker.again_ms.items()},
        "again": {use: len(times) for use, times in asker.again_ms.items()},
        "saved": _summarize_shares(asker.saved),
        "questions_per_s": round(len(questions) / duration_s, 2),
    }


def _summarize_ms(durations_ms: Sequence[float]) -> dict[str, float]:
    if len(durations_ms) < 2:  # noqa: PLR2004 - quantiles need two
        return {}
    cuts = statistics.quantiles(durations_ms, n=100, method="inclusive")
    at = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(durations_ms)}
    return {name: round(value_ms, 1) for name, value_ms in at.items()}


def _summarize_shares(shares: Sequence[float]) -> dict[str, float]:
    if not shares:
        return {}
    share_of_90 = len([share for share in shares if share >= 0.9]) / len(shares)  # noqa: PLR2004
    return {
        "median": round(statistics.median(shares), 3),
        "least": round(min(shares), 3),
        "at_least_90_percent": round(share_of_90, 4),
    }


def main() -> None:
    """Read the arguments, ask, and print the report on standard output."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the three files")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="on this machine only")
    parser.add_argument("--concurrency", type=int, default=1, help="questions asked at once")
    parser.add_argument("--limit", type=int, help="only the first so many questions")
    parser.add_argument("--twice", action="store_true", help="each twice, the cache switched on")
    options = parser.parse_args()
    if urlsplit(options.url).hostname not in LOCAL_HOSTS:
        parser.error(f"--url must be on {LOCAL_HOSTS[0]}: this is load")
    for name in (QUESTIONS, *RECORDS):
        if not (options.data / name).is_file():
            parser.error(f"{options.data / name} is not there; --data names its folder")
    report = asyncio.run(
        measure(
            options.data,
            url=options.url,
            concurrency=options.concurrency,
            limit=options.limit,
            twice=options.twice,
        )
    )
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
