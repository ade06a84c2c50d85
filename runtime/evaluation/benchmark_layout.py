"""Public retrieval benchmarks as labelled questions, and their documents as records to import.

The layout is BEIR's: `corpus.jsonl`, `queries.jsonl`, and `qrels.tsv` for which document answers
which query. Called by the `eval` commands. A set's workspace is named after its folder, and each
document becomes a session of one client: what `import` makes of them is what the questions expect.

Source: https://github.com/beir-cellar/beir/wiki/Load-your-custom-dataset
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Final
from uuid import UUID, uuid5

from pydantic import BaseModel, Field

from runtime.errors import InvalidRecord
from runtime.evaluation.labelled_lines import NOT_UTF_8, read_lines
from runtime.evaluation.retrieval import LabelledQuestion
from runtime.language.detection import detect
from runtime.messages import RecordKey
from runtime.workspaces import workspace_id_for

CORPUS: Final = "corpus.jsonl"
QUERIES: Final = "queries.jsonl"
JUDGEMENTS: Final = "qrels.tsv"

_NO_OBJECT: Final = "is not an object with a text `_id` and `text`."
_ANY_DATE: Final = "2000-01-01"
"""A session must have a date; no question of a benchmark asks for one."""


class _Query(BaseModel):
    id: str = Field(alias="_id")
    text: str


class _Document(BaseModel):
    id: str = Field(alias="_id")
    text: str
    title: str = ""


def is_benchmark(folder: Path) -> bool:
    """Say whether the folder holds a set in this layout."""
    return all((folder / name).is_file() for name in (CORPUS, QUERIES, JUDGEMENTS))


def read_benchmark(folder: Path) -> list[LabelledQuestion]:
    """Return the queries that some document answers, in the file's order.

    A document is taken to be in its query's language.

    Raises: InvalidRecord, naming the line.
    """
    workspace_id = _workspace_of(folder)
    answers = _read_judgements(folder / JUDGEMENTS)
    questions = []
    for query in read_lines(folder / QUERIES, _Query, otherwise=_NO_OBJECT):
        gold = (RecordKey("session", _record_id(workspace_id, each)) for each in answers[query.id])
        language = detect(query.text)
        questions.append(
            LabelledQuestion(workspace_id, query.text, language, language, frozenset(gold))
        )
    return [question for question in questions if question.gold]


def write_records(folder: Path) -> Iterator[Mapping[str, str]]:
    """Yield the documents as the objects that `import` reads, one client before them all.

    Raises: InvalidRecord, naming the line.
    """
    workspace_id = _workspace_of(folder)
    name = folder.resolve().name
    owner = {"workspace": name, "client_id": str(_record_id(workspace_id, ""))}
    yield owner | {"client_name": name}
    for document in read_lines(folder / CORPUS, _Document, otherwise=_NO_OBJECT):
        yield owner | {
            "session_id": str(_record_id(workspace_id, document.id)),
            "session_date": _ANY_DATE,
            "subjective": "\n\n".join(filter(None, (document.title, document.text))),
        }


def _workspace_of(folder: Path) -> UUID:
    return workspace_id_for(folder.resolve().name)


def _record_id(workspace_id: UUID, document: str) -> UUID:
    return uuid5(workspace_id, document)


def _read_judgements(path: Path) -> defaultdict[str, list[str]]:
    """Return the documents that answer each query; those judged not to are left out."""
    answers: defaultdict[str, list[str]] = defaultdict(list)
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise InvalidRecord(path.name, NOT_UTF_8) from None
    with StringIO(text, newline="") as file:
        for number, row in enumerate(csv.reader(file, delimiter="\t"), start=1):
            match row:
                case [query, document, score] if score.lstrip("-").isdecimal():
                    if int(score) > 0:
                        answers[query].append(document)
                case _ if number > 1:  # the first line names the columns
                    reason = "is not a query, a document and a whole number, parted by tabs."
                    raise InvalidRecord(f"{path.name}, line {number}", reason)
    return answers
