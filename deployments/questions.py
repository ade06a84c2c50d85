"""The question route without its HTTP: a place, a deadline, the answer, and the record of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from deployments.problems import kind_of
from runtime.answering.language import detect
from runtime.errors import DeadlineExceeded, Overloaded
from runtime.messages import Answer, Question
from runtime.services import Services
from runtime.telemetry import QuestionAnswered

OVERLOAD_RETRY_AFTER_S: Final = 2.0
"""An answer takes about a second, so a place is free by then."""


class Admission:
    """Takes so many questions at once and refuses more at once: a queue would only age them."""

    def __init__(self, places: int) -> None:
        self._free = places

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Hold a place.

        Raises: Overloaded.
        """
        if self._free == 0:
            raise Overloaded(OVERLOAD_RETRY_AFTER_S)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


class QuestionDesk:
    """Answers within the bounds of one replica, and tells telemetry of each question once."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._admission = Admission(services.settings.concurrent_questions)

    async def answer(self, workspace_id: UUID, question: Question) -> tuple[Answer, float]:
        """Return the answer and the seconds it took. Cancelling it stops what it started.

        Raises: AIAgentError.
        """
        clock = self._services.clock
        started_s = clock.monotonic()
        answer: Answer | None = None
        status = "cancelled"  # unless it ends in one of the two other ways
        try:
            with self._admission.admit():
                answer = await self._ask(workspace_id, question)
            status = "ok"
        except Exception as error:
            status = kind_of(error).code
            raise
        finally:
            duration_s = clock.monotonic() - started_s
            self._services.emit(_describe(question, answer, status, duration_s))
        return answer, duration_s

    async def _ask(self, workspace_id: UUID, question: Question) -> Answer:
        # The steps are told the deadline and keep it themselves; this one holds them to it.
        deadline_s = self._services.settings.request_deadline_s
        deadline = asyncio.timeout(deadline_s)
        try:
            async with deadline:
                return await self._services.ask(workspace_id, question, deadline_s=deadline_s)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise DeadlineExceeded("request") from None


def _describe(
    question: Question, answer: Answer | None, status: str, duration_s: float
) -> QuestionAnswered:
    return QuestionAnswered(
        status=status,
        language=detect(question.text) if answer is None else answer.language,
        cache="off",
        duration_s=duration_s,
        sources_retrieved=0 if answer is None else answer.retrieved_count,
        citations_returned=0 if answer is None else len(answer.citations),
    )
