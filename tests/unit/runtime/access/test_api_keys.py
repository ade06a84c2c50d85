from __future__ import annotations

import re
from uuid import uuid4

import pytest

from runtime.access.api_keys import digest_key, make_key, workspace_of


def test_a_key_that_was_made_is_told_apart_and_names_its_workspace() -> None:
    workspace_id = uuid4()
    keys = {make_key(workspace_id) for _ in range(100)}
    assert {workspace_of(key) for key in keys} == {workspace_id}
    assert len({digest_key(key) for key in keys}) == 100
    assert all(re.fullmatch(rf"pzk_{workspace_id.hex}_[\w-]{{43}}", key) for key in keys)


@pytest.mark.parametrize("change", [str.upper, lambda key: key + "x", lambda key: key[:-1]])
def test_what_is_not_quite_a_key_is_none(change: object) -> None:
    assert callable(change)
    assert workspace_of(change(make_key(uuid4()))) is None
