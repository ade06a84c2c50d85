"""A name is the same workspace on every machine and at every time."""

from __future__ import annotations

from uuid import UUID

from runtime.workspaces import workspace_id_for


def test_a_name_always_becomes_the_same_workspace() -> None:
    # Written out, so that a change of the namespace cannot pass unseen.
    assert workspace_id_for("demo") == UUID("0d46c792-707e-5e7e-86d0-61ff6de1abf5")


def test_different_names_are_different_workspaces() -> None:
    assert len({workspace_id_for(name) for name in ("demo", "Demo", "demo2", "דמו")}) == 4


def test_a_uuid_stands_for_itself_however_it_is_written() -> None:
    written = "0B54A0F4-6C1C-4E7B-9E9C-0C7A6E2F4D11"
    assert workspace_id_for(written) == UUID(written)
    assert workspace_id_for(f" {written.lower()}\n") == UUID(written)


def test_white_space_and_unicode_form_make_no_difference() -> None:
    assert workspace_id_for(" caf\u00e9 ") == workspace_id_for("cafe\u0301")
