"""The cache of answers over HTTP: what serves again, to whom, and for how long."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.integration.ray.conftest import Cluster, Practice, eventually

DATE = "2026-03-02"
QUESTION = "What keeps the patient awake at night?"


def write(practice: Practice, client: UUID, session: UUID, text: str) -> None:
    practice.put_client(client, client_name="Same Id")
    practice.put_session(session, client_id=str(client), session_date=DATE, subjective=text)
    eventually(lambda: is_embedded(practice))
    assert practice.cites(QUESTION, text)


def is_embedded(practice: Practice) -> bool:
    """Whether no embedding will land any more, which would end the answers given before it."""
    # A shallow report may be a second old.
    parts = practice.http.get("/health?deep=true").json()["components"]
    [index] = [part["detail"] for part in parts if part["name"] == "index"]
    return bool(index.startswith("0 "))


def ask(practice: Practice, query: str = QUESTION, **options: object) -> dict[str, Any]:
    return practice.answer(query, use_cache=True, **options)


def cached(answer: dict[str, Any]) -> str:
    used: str = answer["metadata"]["cache"]
    return used


@pytest.fixture
def ids() -> tuple[UUID, UUID]:
    return uuid4(), uuid4()


def test_the_same_question_is_answered_from_the_cache_until_a_note_changes(
    practice: Practice, ids: tuple[UUID, UUID]
) -> None:
    write(practice, *ids, "The dog next door keeps the patient awake at night.")
    first, again = ask(practice), ask(practice, f" {QUESTION.lower()}")
    assert (cached(first), cached(again)) == ("miss", "exact")
    assert {**again, "metadata": 0, "processing_time_ms": 0} == {
        **first,
        "metadata": 0,
        "processing_time_ms": 0,
    }
    assert set(again["metadata"]["timings_ms"]) == {"guard", "cache"}

    practice.put_session(
        ids[1], client_id=str(ids[0]), session_date=DATE, subjective="Nothing keeps her awake."
    )
    edited = ask(practice)
    assert cached(edited) == "miss"
    assert "dog" not in str(edited)
    assert practice.http.delete(f"/clients/{ids[0]}").is_success
    gone = ask(practice)
    assert (cached(gone), gone["citations"]) == ("miss", [])


def test_a_streamed_answer_is_kept_and_streamed_again_sentence_by_sentence(
    practice: Practice, ids: tuple[UUID, UUID]
) -> None:
    write(practice, *ids, "The trains keep the patient awake at night.")
    first = practice.ask(QUESTION, stream=True, use_cache=True).text
    again = practice.ask(QUESTION, stream=True, use_cache=True).text
    assert '"cache":"miss"' in first.replace(" ", "")
    assert '"cache":"exact"' in again.replace(" ", "")
    for event in ("meta", "delta", "citation", "done"):
        assert again.count(f"event: {event}\n") == first.count(f"event: {event}\n") > 0


def test_no_practice_is_served_anothers_answer_even_to_the_same_question_about_the_same_ids(
    cluster: Cluster, practice: Practice, ids: tuple[UUID, UUID]
) -> None:
    with Practice(cluster) as other:
        write(practice, *ids, "The lighthouse keeps the patient awake at night.")
        write(other, *ids, "The theatre keeps the patient awake at night.")
        for asker, own, foreign in (
            (practice, "lighthouse", "theatre"),
            (other, "theatre", "lighthouse"),
        ):
            for expected in ("miss", "exact"):
                answer = ask(asker, client_id=str(ids[0]))
                assert cached(answer) == expected
                assert own in answer["answer"]
                assert foreign not in str(answer)

        assert other.http.delete("/workspace/cache").is_success
        assert cached(ask(practice, client_id=str(ids[0]))) == "exact"
        assert cached(ask(other, client_id=str(ids[0]))) == "miss"


def test_a_workspace_switches_its_cache_off_for_itself_alone(
    cluster: Cluster, practice: Practice, ids: tuple[UUID, UUID]
) -> None:
    with Practice(cluster) as other:
        for one in (practice, other):
            write(one, *ids, "The heat keeps the patient awake at night.")
        patched = practice.http.patch("/workspace/settings", json={"cache_enabled": False})
        assert patched.is_success, patched.text
        assert [cached(ask(practice)) for _ in range(2)] == ["off", "off"]
        assert [cached(ask(other)) for _ in range(2)] == ["miss", "exact"]
        practice.http.patch("/workspace/settings", json={"cache_enabled": None})
        assert [cached(ask(practice)) for _ in range(2)] == ["miss", "exact"]


def test_a_question_that_names_a_client_is_answered_of_that_client_alone(
    practice: Practice,
) -> None:
    dana, omer = uuid4(), uuid4()
    practice.put_client(dana, client_name="Dana Keshet", notes="Takes sertraline every morning.")
    practice.put_client(omer, client_name="Omer Raz", notes="Takes lithium every morning.")
    eventually(lambda: is_embedded(practice))
    answer = ask(practice, "What does Dana Keshet take every morning?")
    assert {citation["client_name"] for citation in answer["citations"]} == {"Dana Keshet"}
    practice.put_client(omer, client_name="Omer Raz", notes="Takes nothing any more.")
    eventually(lambda: is_embedded(practice))
    again = ask(practice, "What does Dana Keshet take every morning?")
    assert cached(again) == "exact", "a note about one client leaves another's answers"
    practice.put_client(omer, client_name="Dana Keshet", notes="Takes lithium every morning.")
    assert cached(ask(practice, "What does Dana Keshet take every morning?")) == "miss"
