"""Whatever stands in which file and in what order, good lines are stored once and the rest told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid5

import pytest

from runtime import importer
from runtime.errors import DatabaseUnavailable
from runtime.importer import Importer, ImportProgress
from runtime.ingest import BadLine, read_records
from runtime.messages import BatchStored, Client, Session
from runtime.storage.memory import InMemoryRecordStore
from runtime.workspaces import workspace_id_for

CLIENT_ID = UUID("3f0c8a52-92f5-4c0e-8a6e-0a55d5e20c01")
SESSION_ID = UUID("3f0c8a52-92f5-4c0e-8a6e-0a55d5e20c02")

CLIENT = {"workspace": "north", "client_id": str(CLIENT_ID), "client_name": "נועה גל"}
SESSION = {
    "workspace": "north",
    "client_id": str(CLIENT_ID),
    "session_id": str(SESSION_ID),
    "session_date": "2025-10-14",
    "subjective": "Slept well.",
}


def write(path: Path, *lines: object) -> Path:
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "practice.jsonl"


class WatchedStore(InMemoryRecordStore):
    """Counts what each batch brings, and may lose its connection at one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.fails_at: int | None = None

    async def put_many(
        self, workspace_id: UUID, clients: Sequence[Client], sessions: Sequence[Session]
    ) -> BatchStored:
        if len(self.batches) == self.fails_at:
            raise DatabaseUnavailable("the connection was lost.")
        ids = [client.id for client in clients] + [session.id for session in sessions]
        assert len(set(ids)) == len(ids), "no id twice in a batch"
        self.batches.append(len(ids))
        return await super().put_many(workspace_id, clients, sessions)


def session(number: int, **changes: object) -> dict[str, object]:
    return SESSION | {"session_id": str(uuid5(SESSION_ID, str(number)))} | changes


async def test_a_practice_is_stored_under_its_workspace_and_name(path: Path) -> None:
    store = WatchedStore()
    done = await Importer(store).run([write(path, CLIENT, SESSION)])
    north = workspace_id_for("north")
    assert store.workspaces.keys() == {north}
    stored = store.workspaces[north]
    assert stored.name == "north"
    assert (set(stored.clients), set(stored.sessions)) == ({CLIENT_ID}, {SESSION_ID})
    size_bytes = 2 * sum(line.place.size_bytes for line in read_records(path))
    assert done == ImportProgress(bytes_read=size_bytes, total_bytes=size_bytes, stored=2)


async def test_a_session_may_stand_before_its_client_or_in_another_file(path: Path) -> None:
    store = WatchedStore()
    clients = write(path.with_name("clients.jsonl"), CLIENT)
    bad: list[BadLine] = []
    done = await Importer(store, on_bad=bad.append).run([write(path, session(1)), clients])
    assert (done.stored, bad) == (2, [])


async def test_a_session_without_a_client_is_told_of_by_file_and_line(path: Path) -> None:
    unknown = str(uuid5(CLIENT_ID, "nobody"))
    bad: list[BadLine] = []
    write(path, CLIENT, session(1), "", session(2, client_id=unknown))
    done = await Importer(WatchedStore(), on_bad=bad.append).run([path])
    assert (done.stored, done.bad) == (2, 1)
    assert [(line.place.path, line.place.line) for line in bad] == [(path, 4)]
    assert "no such client" in bad[0].reason


async def test_running_again_stores_nothing_new(path: Path) -> None:
    store = WatchedStore()
    await Importer(store).run([write(path, CLIENT, session(1), session(2))])
    done = await Importer(store).run([path])
    assert (done.stored, done.unchanged, done.bad) == (0, 3, 0)


async def test_of_lines_with_one_id_the_last_is_kept_and_told_of(path: Path) -> None:
    store = WatchedStore()
    reported: list[BadLine] = []
    write(path, CLIENT, session(1, plan="5 mg"), CLIENT, session(1, plan="10 mg"))
    done = await Importer(store, on_bad=reported.append).run([path])
    kept = store.workspaces[workspace_id_for("north")].sessions[uuid5(SESSION_ID, "1")]
    assert kept.plan == "10 mg"
    assert [(line.place.line, line.skipped) for line in reported] == [(3, False), (4, False)]
    assert (done.bad, done.replaced) == (0, 2)


async def test_the_same_id_in_two_workspaces_is_two_records(path: Path) -> None:
    store = WatchedStore()
    reported: list[BadLine] = []
    write(path, CLIENT, CLIENT | {"workspace": "south"}, SESSION, SESSION | {"workspace": "south"})
    done = await Importer(store, on_bad=reported.append).run([path])
    assert (done.stored, reported) == (4, [])
    assert {workspace.name for workspace in store.workspaces.values()} == {"north", "south"}


async def test_a_workspace_given_by_its_uuid_keeps_the_name_it_has(path: Path) -> None:
    store = WatchedStore()
    north = workspace_id_for("north")
    await store.ensure_workspace(north, "North Clinic")
    await Importer(store).run([write(path, CLIENT | {"workspace": str(north)})])
    assert store.workspaces[north].name == "North Clinic"
    assert set(store.workspaces[north].clients) == {CLIENT_ID}


async def test_bad_lines_are_reported_once_and_the_rest_is_stored(path: Path) -> None:
    bad: list[BadLine] = []
    write(path, "{", CLIENT, session(1, session_date="soon"), session(2))
    done = await Importer(WatchedStore(), on_bad=bad.append).run([path])
    assert [line.place.line for line in bad] == [1, 3]
    assert (done.stored, done.bad) == (2, 2)


@pytest.mark.parametrize("limit", ["BATCH_RECORDS", "BATCH_BYTES"])
async def test_batches_are_bounded_and_progress_follows_them(
    path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    line_bytes = len(json.dumps(session(0))) + 1
    monkeypatch.setattr(importer, limit, 10 if limit == "BATCH_RECORDS" else 10 * line_bytes)
    store = WatchedStore()
    seen: list[ImportProgress] = []
    write(path, CLIENT, *(session(number) for number in range(25)))
    done = await Importer(store, on_progress=seen.append).run([path])
    assert store.batches == [1, 10, 10, 5]
    assert [progress.stored for progress in seen] == [1, 11, 21, 26, 26]
    read = [progress.bytes_read for progress in seen]
    assert read == sorted(read)
    assert seen[-1] == done


async def test_an_import_that_was_cut_off_goes_on_when_run_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "BATCH_RECORDS", 10)
    store = WatchedStore()
    store.fails_at = 2
    write(path, CLIENT, *(session(number) for number in range(25)))
    with pytest.raises(DatabaseUnavailable):
        await Importer(store).run([path])
    assert len(store.workspaces[workspace_id_for("north")].sessions) == 10
    store.fails_at = None
    done = await Importer(store).run([path])
    assert (done.stored, done.unchanged) == (15, 11)


async def test_an_empty_file_is_an_import_of_nothing(path: Path) -> None:
    done = await Importer(WatchedStore()).run([write(path)])
    assert done == ImportProgress(bytes_read=0, total_bytes=0)
