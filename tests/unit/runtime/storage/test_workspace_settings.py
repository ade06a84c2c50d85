import json

import pytest

from runtime.messages import WorkspaceSettings
from runtime.storage.workspace_settings import read_settings


def test_a_workspace_without_settings_has_set_nothing() -> None:
    assert read_settings(None) == read_settings("{}") == WorkspaceSettings()


def test_settings_of_others_are_left_alone() -> None:
    written = json.dumps({"colour": "green", "cache_ttl_seconds": 60})
    assert read_settings(written) == WorkspaceSettings(cache_ttl_seconds=60)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cache_enabled", 1),
        ("cache_enabled", "false"),
        ("cache_ttl_seconds", True),
        ("cache_ttl_seconds", 1.5),
        ("cache_ttl_seconds", None),
        ("cache_similarity", "0.9"),
        ("cache_similarity", False),
        ("rate_limit_per_hour", [30]),
    ],
)
def test_a_value_of_another_kind_counts_as_not_set(name: str, value: object) -> None:
    assert read_settings(json.dumps({name: value})) == WorkspaceSettings()


@pytest.mark.parametrize("written", ["[]", "1", '"x"', "null"])
def test_what_is_no_object_holds_no_settings(written: str) -> None:
    assert read_settings(written) == WorkspaceSettings()


def test_a_likeness_may_be_a_whole_number() -> None:
    assert read_settings('{"cache_similarity": 1}').cache_similarity == 1
