"""The question route without its HTTP: a place, a deadline, the answer, and the record of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID

from deployments.problems import kind_of
from runtime.errors import DeadlineExceeded, Overloaded
from runtime.language.detection import detect
from runtime.messages import Answer, AnswerEvent, Question
from runtime.resilience.deadline import held_for, held_until
from runtime.services import Services
from runtime.telemetry import QuestionAnswered

OVERLOAD_RETRY_AFTER_S: Final = 2.0
"""An answer takes about a second, so a place is free by then."""


TimedEvent: TypeAlias = tuple[AnswerEvent, float]
"""What happened, and the seconds since the question came."""


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


@dataclass(slots=True)
class _Asked:
    """A question under way: when it came, and the answer once there is one."""

    since_s: float
    answer: Answer | None = None


class QuestionDesk:
    """Answers within the bounds of one replica, and tells telemetry of each question once."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._admission = Admission(services.settings.concurrent_questions)

    async def answer(self, workspace_id: UUID, question: Question) -> tuple[Answer, float]:
        """Return the answer and the seconds it took. Cancelling it stops what it started.

        Raises: AIAgentError.
        """
        # The steps are told the deadline and keep it themselves; this one holds them to it.
        deadline_s = self._services.settings.request_deadline_s
        with self._asking(question) as asked:
            async with held_for(deadline_s, late=_late):
                answer = await self._services.ask(workspace_id, question, deadline_s=deadline_s)
            asked.answer = answer
            return answer, self._taken_s(asked)

    async def stream(
        self, workspace_id: UUID, question: Question
    ) -> AsyncGenerator[TimedEvent, None]:
        """Yield each event with the seconds it took so far. Closing it stops what it started.

        The place is held, and the deadline runs, until the end of the stream.

        Raises: AIAgentError.
        """
        deadline_s = self._services.settings.request_deadline_s
        ends_at_s = _now_s() + deadline_s
        with self._asking(question) as asked:
            asking = self._services.ask.stream(workspace_id, question, deadline_s=deadline_s)
            async with aclosing(asking) as events:
                while True:
                    # Never around the `yield`: it would end whatever the caller does meanwhile.
                    async with held_until(ends_at_s, late=_late):
                        event = await anext(events, None)
                    if event is None:
                        return
                    if isinstance(event, Answer):
                        asked.answer = event
                    yield event, self._taken_s(asked)

    @contextmanager
    def _asking(self, question: Question) -> Iterator[_Asked]:
        """Hold a place for the question, and tell telemetry how it ended."""
        asked = _Asked(self._services.clock.monotonic())
        status = "cancelled"  # unless it fails or is answered
        try:
            with self._admission.admit():
                yield asked
        except Exception as error:
            status = kind_of(error).code
            raise
        finally:
            if asked.answer is not None:
                status = "ok"
            event = _describe(question, asked.answer, status, self._taken_s(asked))
            self._services.emit(event)

    def _taken_s(self, asked: _Asked) -> float:
        return self._services.clock.monotonic() - asked.since_s


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _late() -> DeadlineExceeded:
    return DeadlineExceeded("request")


def _describe(
    question: Question, answer: Answer | None, status: str, duration_s: float
) -> QuestionAnswered:
    return QuestionAnswered(
        status=status,
        language=detect(question.text) if answer is None else answer.language,
        cache="off" if answer is None else answer.cache,
        duration_s=duration_s,
        sources_retrieved=0 if answer is None else answer.retrieved_count,
        citations_returned=0 if answer is None else len(answer.citations),
    )
