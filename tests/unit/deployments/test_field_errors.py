from deployments.field_errors import MAX_LISTED, MAX_NAME_CHARACTERS, describe
from tests.unit.deployments.http_world import World


async def test_reasons_never_repeat_what_was_sent(world: World) -> None:
    secret = "Zadie-Quixote"
    response = await world.ask(
        {
            "query": [secret],
            "client_id": secret,
            "max_results": secret,
            "min_similarity": secret,
            "history": [{"role": secret, "content": {"a": secret}}],
            "stream": secret,
        }
    )
    assert response.status_code == 422
    assert len(response.json()["errors"]) == 7
    assert "is not valid" not in response.text
    assert secret not in response.text


async def test_one_detail_names_a_few_fields_and_how_many_more(world: World) -> None:
    response = await world.ask({"a": 1, "b": 2, "c": 3, "d": 4})
    assert response.json()["detail"] == (
        "Please correct: query is required; a is not a known field; b is not a known field; "
        "and 2 more."
    )


async def test_names_that_the_caller_made_up_are_cut_and_the_list_is_bounded(
    world: World,
) -> None:
    response = await world.ask({"query": "q"} | {f"{n:03}" + "x" * 5000: n for n in range(100)})
    listed = response.json()["errors"]
    assert len(listed) == MAX_LISTED
    assert max(len(error["field"]) for error in listed) == MAX_NAME_CHARACTERS


def test_a_kind_of_fault_that_is_new_to_us_is_told_without_details() -> None:
    [error] = describe([{"type": "novel", "loc": ("body", "query"), "msg": "quoting the input"}])
    assert (error.field, error.reason) == ("query", "is not valid")
