"""A database of many practices, large and small, to measure the vector search in.

Called by `vector_search.py`. The vectors are those of the local model for real texts, and clusters
around them; those of other dimensions than its 384 are these, turned into the larger space, with
noise. Every row is made from its workspace's number alone, so that none need be read back.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import numpy as np

from runtime.evaluation.retrieval import read_questions
from runtime.ingest import BadLine, SessionLine, read_records
from runtime.messages import FIELDS, EmbeddingModel, Matrix, RecordType
from runtime.providers.local import MODEL, LocalEmbedder
from runtime.splitting import cut
from runtime.storage.vector_index import TABLES

TEXT: Final = "Slept better this week, walks daily, shoulder still stiff in the morning. " * 4
KINDS: Final[tuple[RecordType, ...]] = ("session", "client")
PARTS: Final = 10
"""Of each workspace, inserted in turn, as if all of them grew at once."""
STARTED: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""Every client is seen ten times, once in each week from the second on."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """One workspace: its rows are made from `number` alone, so they need not be read back."""

    number: int
    rows: int

    @property
    def id(self) -> UUID:
        """Return its id."""
        return UUID(bytes=hashlib.md5(b"w%d" % self.number, usedforsecurity=False).digest())

    def key(self, row: int) -> tuple[UUID, str]:
        """Return the record and field of a row: of 42, two are a client's and 40 its sessions'."""
        client, place = divmod(row, 42)
        if place < 2:  # noqa: PLR2004
            return self.make_id(client, 0), FIELDS["client"][place]
        return self.make_id(client, 1 + (place - 2) // 4), FIELDS["session"][(place - 2) % 4]

    def is_of(self, row: int, *, client: int | None, week: int | None) -> bool:
        """Say whether the row is of that client, and of that week of every client's."""
        owner, place = divmod(row, 42)
        visited = place > 1 and 1 + (place - 2) // 4 == week
        return client in (None, owner) and (week is None or visited)

    def make_id(self, client: int, session: int) -> UUID:
        """Return the id of a client's session from 1 on, or at 0 of the client."""
        digest = hashlib.md5(b"%d %d %d" % (self.number, client, session), usedforsecurity=False)
        return UUID(bytes=digest.digest())


# --- Vectors --------------------------------------------------------------------------------


def normalize(matrix: Matrix) -> Matrix:
    """Return the rows at unit length."""
    unit: Matrix = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
    return unit


def perturb(matrix: Matrix, cosines: Matrix, rng: np.random.Generator) -> Matrix:
    """Return rows at these cosines of those given, in random directions."""
    noise = rng.standard_normal(matrix.shape, dtype=np.float32)
    noise -= (noise * matrix).sum(axis=1, keepdims=True) * matrix
    sines: Matrix = np.sqrt(1 - cosines**2).astype(np.float32)
    return normalize(cosines * matrix + sines * normalize(noise))


class Space:
    """The real vectors, in some number of dimensions."""

    def __init__(self, passages: Matrix, questions: Matrix, dimensions: int) -> None:
        self._passages = passages
        self._lift: Matrix | None = None
        rng = np.random.default_rng(0)
        if dimensions != MODEL.dimensions:
            square = rng.standard_normal((dimensions, MODEL.dimensions))
            self._lift = np.linalg.qr(square)[0].astype(np.float32).T
        self.questions = self._place(questions, rng)

    def make_part(self, workspace: Workspace, part: int) -> tuple[range, Matrix]:
        """Return every tenth row of the workspace from `part` on, and their vectors.

        Most are among 20 or so around a real one.
        """
        rows = range(part, workspace.rows, PARTS)
        rng = np.random.default_rng(workspace.number)
        if workspace.number == 0:
            return rows, self._place(self._passages[rows], rng)
        further = max(0, workspace.rows - len(self._passages))
        chosen = np.concatenate(
            [rng.permutation(len(self._passages)), rng.integers(len(self._passages), size=further)]
        )[rows]
        rng = np.random.default_rng([workspace.number, part])
        cosines = rng.uniform(0.6, 0.95, size=(len(rows), 1)).astype(np.float32)
        return rows, self._place(perturb(self._passages[chosen], cosines, rng), rng)

    def _place(self, matrix: Matrix, rng: np.random.Generator) -> Matrix:
        if self._lift is None:
            return matrix
        cosines = np.full((len(matrix), 1), 0.95, dtype=np.float32)
        return perturb(matrix @ self._lift, cosines, rng)


async def embed(data: Path, work: Path) -> tuple[Matrix, Matrix]:
    """Return the vectors of the passages and questions, from a file if they were made before."""
    made = work / "real.npz"
    if not made.exists():
        texts = []
        files = (data / f"{name}.jsonl" for name in ("clients", "sessions"))
        for line in chain.from_iterable(map(read_records, files)):
            assert not isinstance(line, BadLine)
            kind: RecordType = "session" if isinstance(line, SessionLine) else "client"
            for name in FIELDS[kind]:
                text = getattr(line.record, name)
                texts += [text[span.start : span.end] for span in cut(text)]
        asked = [question.text for question in read_questions(data / "questions.jsonl")]
        embedder = LocalEmbedder()
        questions = await embedder.embed_texts(asked, input_type="query", timeout_s=36_000)
        passages = await embedder.embed_texts(texts, input_type="document", timeout_s=36_000)
        embedder.close()
        np.savez(made, passages=passages.vectors, questions=questions.vectors)
    loaded = np.load(made)
    return loaded["passages"], loaded["questions"]


# --- The database ---------------------------------------------------------------------------


async def fill(
    raw: Any,  # noqa: ANN401 - asyncpg is untyped
    space: Space,
    workspaces: list[Workspace],
    model: EmbeddingModel,
) -> None:
    """Insert every workspace's records and vectors."""
    digest = hashlib.sha256(TEXT.encode()).digest()
    for workspace in workspaces:
        await raw.execute("INSERT INTO workspaces (id, name) VALUES ($1, '')", workspace.id)
    await raw.execute("SET session_replication_role = replica")  # no check row by row
    for workspace in workspaces:
        clients = range(-(-workspace.rows // 42))
        ids = [workspace.make_id(client, 0) for client in clients]
        await raw.copy_records_to_table(
            "clients",
            columns=["workspace_id", "id", "name", "medical_history", "notes"],
            records=[(workspace.id, each, "Noa", TEXT, TEXT) for each in ids],
        )
        await raw.copy_records_to_table(
            "sessions",
            columns=["workspace_id", "id", "client_id", "session_date", *FIELDS["session"]],
            records=[
                (
                    workspace.id, workspace.make_id(client, number), ids[client],
                    STARTED + timedelta(days=client % 7 + 7 * number), *[TEXT] * 4,
                )
                for client in clients
                for number in range(1, 11)
            ],
        )  # fmt: skip
    await _fill_vectors(raw, space, workspaces, model.key, digest)


async def _fill_vectors(
    raw: Any,  # noqa: ANN401 - as above
    space: Space, workspaces: list[Workspace], key: str, digest: bytes,
) -> None:  # fmt: skip
    """Insert a tenth of each workspace's rows in turn, as if all of them grew at once."""
    for part in range(PARTS):
        for workspace in workspaces:
            made, vectors = space.make_part(workspace, part)
            for table, kind in zip(TABLES, KINDS, strict=True):
                rows = [
                    (workspace.id, record, name, 0, 0, len(TEXT), vector, key, digest)
                    for row, vector in zip(made, vectors, strict=True)
                    for record, name in (workspace.key(row),)
                    if name in FIELDS[kind]
                ]
                await raw.copy_records_to_table(
                    table,
                    columns=[
                        "workspace_id", f"{kind}_id", "field_name", "part", "part_start",
                        "part_end", "embedding", "embedding_model", "content_hash",
                    ],
                    records=rows,
                )  # fmt: skip
        print(f"\rfilled {part + 1} of {PARTS}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
