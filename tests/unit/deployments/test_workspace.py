from uuid import UUID

import pytest

from deployments.workspace_schemas import SettingsPatch
from runtime.messages import AnswerToKeep, CacheKey, Client
from runtime.settings import Settings
from runtime.telemetry import CacheEvicted
from tests.unit.deployments.http_world import CLIENT, NOTHING_FOUND, WORKSPACE, World, open_world

SETTINGS = "/api/v1/ai/workspace/settings"
CACHE = "/api/v1/ai/workspace/cache"
OTHER = UUID(int=7)
KEY = CacheKey(b"question", b"partition")
DEFAULTS = {
    "cache_enabled": True,
    "cache_ttl_seconds": 3600,
    "cache_similarity": 0.95,
    "cache_max_entries": 100,
    "rate_limit_per_hour": 30,
    "rate_limit_per_user_per_hour": 0,
}


async def patch(world: World, body: object) -> dict[str, object]:
    response = await world.http.patch(
        SETTINGS, json=body, headers=world.authorize("workspace:admin")
    )
    assert response.status_code == 200
    shown: dict[str, object] = response.json()
    return shown


async def read(world: World, workspace: UUID = WORKSPACE) -> dict[str, object]:
    headers = world.authorize("workspace:admin", workspace=workspace)
    response = await world.http.get(SETTINGS, headers=headers)
    assert response.status_code == 200
    shown: dict[str, object] = response.json()
    return shown


async def remember(world: World, workspace: UUID) -> None:
    await world.remembered.put_client(workspace, Client(CLIENT, "Dana Example"))
    as_of = (await world.cache.recall(workspace, KEY)).as_of
    kept = AnswerToKeep(KEY, "q", NOTHING_FOUND, as_of, None, False, "m", None)  # noqa: FBT003
    await world.cache.keep(workspace, kept, ttl_s=60, max_entries=9)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", SETTINGS), ("PATCH", SETTINGS), ("DELETE", CACHE)]
)
async def test_only_an_administrator_of_the_workspace_may(
    world: World, method: str, path: str
) -> None:
    headers = world.authorize("chat", "records:write", "ops")
    response = await world.http.request(method, path, json={}, headers=headers)
    assert response.status_code == 403
    assert (await world.http.request(method, path, json={})).status_code == 401


class TestSettings:
    async def test_are_the_configurations_at_first(self) -> None:
        assert await _read_of(Settings()) == DEFAULTS | {"set_here": []}
        configured = Settings(cache_enabled=False, cache_ttl_s=60, rate_limit_per_hour=5)
        assert await _read_of(configured) == DEFAULTS | {
            "cache_enabled": False,
            "cache_ttl_seconds": 60,
            "rate_limit_per_hour": 5,
            "set_here": [],
        }

    async def test_what_is_set_wins_over_the_configuration_and_is_named(self) -> None:
        async with open_world(Settings(cache_enabled=False)) as world:
            shown = await patch(world, {"cache_enabled": True, "rate_limit_per_user_per_hour": 0})
        assert shown == DEFAULTS | {"set_here": ["cache_enabled", "rate_limit_per_user_per_hour"]}

    async def test_what_a_body_does_not_name_stays(self, world: World) -> None:
        await patch(world, {"cache_ttl_seconds": 60})
        await patch(world, {"cache_similarity": 1})

        shown = await patch(world, {})

        changed = {"cache_ttl_seconds": 60, "cache_similarity": 1.0}
        expected = DEFAULTS | changed | {"set_here": ["cache_ttl_seconds", "cache_similarity"]}
        assert shown == expected
        assert await read(world) == expected

    async def test_null_goes_back_to_the_configuration(self, world: World) -> None:
        await patch(world, {"cache_ttl_seconds": 60, "cache_max_entries": 7})

        shown = await patch(world, {"cache_ttl_seconds": None})

        assert shown == DEFAULTS | {"cache_max_entries": 7, "set_here": ["cache_max_entries"]}

    async def test_are_of_the_callers_workspace_alone(self, world: World) -> None:
        await patch(world, {"cache_enabled": False})
        assert await read(world, OTHER) == DEFAULTS | {"set_here": []}

    @pytest.mark.parametrize(
        ("field", "value", "reason"),
        [
            ("cache_ttl_seconds", 0, "must be at least 1"),
            ("cache_ttl_seconds", 604_801, "must be at most 604800"),
            ("cache_ttl_seconds", 1.5, "must be a whole number"),
            ("cache_ttl_seconds", True, "must be a whole number"),
            ("cache_similarity", 0.49, "must be at least 0.5"),
            ("cache_similarity", 1.01, "must be at most 1"),
            ("cache_similarity", "1", "must be a number"),
            ("cache_max_entries", 0, "must be at least 1"),
            ("cache_max_entries", 10_001, "must be at most 10000"),
            ("cache_enabled", 1, "must be true or false"),
            ("rate_limit_per_hour", -1, "must be at least 0"),
            ("rate_limit_per_user_per_hour", 1_000_001, "must be at most 1000000"),
            ("set_here", [], "is not a known field"),
            ("workspace_id", str(OTHER), "is not a known field"),
        ],
    )
    async def test_what_is_out_of_bounds_is_named_and_changes_nothing(
        self, world: World, field: str, value: object, reason: str
    ) -> None:
        response = await world.http.patch(
            SETTINGS,
            json={"cache_enabled": False, field: value},
            headers=world.authorize("workspace:admin"),
        )
        assert response.status_code == 422
        [error] = response.json()["errors"]
        assert (error["field"], error["reason"].replace(".0", "")) == (field, reason)
        assert await read(world) == DEFAULTS | {"set_here": []}

    def test_have_the_bounds_of_the_configuration(self) -> None:
        def bounds(model: type[SettingsPatch | Settings], name: str) -> set[str]:
            return {repr(limit) for limit in model.model_fields[name].metadata if _is_bound(limit)}

        for name in SettingsPatch.model_fields:
            found = bounds(SettingsPatch, name)
            assert found == bounds(Settings, name.replace("_seconds", "_s"))
            assert len(found) == (0 if name == "cache_enabled" else 2)


class TestFlush:
    async def test_forgets_the_answers_of_the_callers_workspace(self, world: World) -> None:
        for workspace in (WORKSPACE, OTHER):
            await remember(world, workspace)

        response = await world.http.delete(CACHE, headers=world.authorize("workspace:admin"))

        assert response.status_code == 200
        assert response.json() == {"status": "flushed", "entries": 1}
        assert CacheEvicted("flushed", 1) in world.events
        assert (await world.cache.recall(WORKSPACE, KEY)).remembered is None
        assert (await world.cache.recall(OTHER, KEY)).remembered is not None


async def _read_of(settings: Settings) -> dict[str, object]:
    async with open_world(settings) as world:
        return await read(world)


def _is_bound(limit: object) -> bool:
    return type(limit).__name__ in ("Ge", "Le", "Gt", "Lt")
