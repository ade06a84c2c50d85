import asyncio

import pytest

from runtime.errors import InvalidQuery, Overloaded
from runtime.messages import Answer, AnswerSpan, Citation, RecordKey, TokenUsage
from runtime.settings import Settings
from runtime.telemetry import QuestionAnswered
from tests.unit.deployments.http_world import CLIENT, World, open_world


def told(world: World) -> list[QuestionAnswered]:
    return [event for event in world.events if isinstance(event, QuestionAnswered)]


class TestAdmission:
    async def test_one_question_too_many_is_refused_at_once_and_frees_nothing(self) -> None:
        async with open_world(Settings(concurrent_questions=1)) as world:
            world.answers.hold = asyncio.Event()
            first = asyncio.create_task(world.ask({"query": "q"}))
            await world.answers.started.wait()
            for _ in range(2):
                refused = await world.ask({"query": "q"})
                assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
                assert int(refused.headers["Retry-After"]) >= 1
            world.answers.hold.set()
            assert (await first).status_code == 200
            assert (await world.ask({"query": "q"})).status_code == 200

    async def test_place_is_free_again_after_an_error_or_a_leaving_caller(self) -> None:
        async with open_world(Settings(concurrent_questions=1)) as world:
            world.answers.failure = Overloaded(7.2)
            response = await world.ask({"query": "q"})
            assert response.headers["Retry-After"] == "8"
            world.answers.failure = None
            world.answers.hold = asyncio.Event()
            world.answers.started.clear()
            leaving = asyncio.create_task(world.ask({"query": "q"}))
            await world.answers.started.wait()
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            world.answers.hold.set()
            assert (await world.ask({"query": "q"})).status_code == 200


class TestDeadline:
    async def test_that_passes_ends_the_question_and_its_work(self) -> None:
        async with open_world(Settings(request_deadline_s=0.01)) as world:
            world.answers.hold = asyncio.Event()
            response = await world.ask({"query": "q"})
            assert (response.status_code, response.json()["code"]) == (504, "deadline_exceeded")
            assert world.answers.cancelled == 1
            assert [event.status for event in told(world)] == ["deadline_exceeded"]

    async def test_is_not_blamed_for_a_timeout_of_another_thing(self, world: World) -> None:
        world.answers.failure = TimeoutError()
        assert (await world.ask({"query": "q"})).status_code == 500


class TestTelemetry:
    async def test_tells_of_an_answer_in_counts(self, world: World) -> None:
        citation = Citation(
            record=RecordKey("client", CLIENT),
            client_id=CLIENT,
            client_name="Dana Example",
            session_date=None,
            field_name="notes",
            similarity=0.5,
            marker=1,
            quote="Q.",
            spans=(AnswerSpan(0, 2, "Q."),),
            verified=True,
        )
        world.answers.answer = Answer("Q. [1]", (citation,), "he", 3, "p", "m", TokenUsage())
        await world.ask({"query": "q"})
        assert told(world) == [QuestionAnswered("ok", "he", "off", 0.0, 3, 1)]

    @pytest.mark.parametrize(
        ("failure", "status"),
        [(InvalidQuery(), "invalid_query"), (ValueError("text"), "internal")],
    )
    async def test_tells_of_an_error_by_its_code(
        self, world: World, failure: Exception, status: str
    ) -> None:
        world.answers.failure = failure
        await world.ask({"query": "מה שלומה?"})
        assert told(world) == [QuestionAnswered(status, "he", "off", 0.0, 0, 0)]

    async def test_tells_of_a_caller_who_left(self, world: World) -> None:
        world.answers.hold = asyncio.Event()
        leaving = asyncio.create_task(world.ask({"query": "q"}))
        await world.answers.started.wait()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert [event.status for event in told(world)] == ["cancelled"]

    async def test_tells_nothing_of_what_is_no_question(self, world: World) -> None:
        await world.ask({"query": 7})
        await world.http.post("/api/v1/ai/agent/chat", json={"query": "q"})
        assert told(world) == []
