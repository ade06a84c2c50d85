"""JSON Lines to records; lines that cannot be used come out as what is wrong with them.

Called by `importer.py`, and by evaluations that need to know a practice's texts.
One object a line: `{"workspace", "client_id", "client_name", "medical_history", "notes"}` or
`{"workspace", "client_id", "session_id", "session_date", "subjective", "objective", "assessment",
"plan"}`; other keys are ignored. What becomes of the records does not belong here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from typing import Final, TypeAlias
from uuid import UUID

from runtime.errors import InvalidRecord
from runtime.messages import CLIENT_FIELDS, SESSION_FIELDS, Client, Session
from runtime.workspaces import workspace_id_for

MAX_FIELD_BYTES: Final = 1024 * 1024
"""UTF-8 bytes of one field. Source: the contract's limit of an HTTP body, 1 MiB."""

MAX_NAME_CHARACTERS: Final = 500
"""Of a client or a workspace, as over HTTP: longer is a note in the wrong column."""

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""A longer line is never held in memory. Room for four full fields of Hebrew written as
`\\u05d0` escapes, which are three times its UTF-8."""

YEARS: Final = range(1900, 2200)
"""A year outside is a slip of the pen or of an export, such as 0025 for 2025."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which line of which file (from 1), and the bytes read for it."""

    path: Path
    line: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ClientLine:
    """A good client. `workspace` is the name in the file, or None where it gives a UUID."""

    place: Place
    workspace: str | None
    workspace_id: UUID
    record: Client


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A good session. `workspace` as in `ClientLine`."""

    place: Place
    workspace: str | None
    workspace_id: UUID
    record: Session


@dataclass(frozen=True, slots=True)
class BadLine:
    """What is wrong with a line and how to mend it, without any of its text.

    `skipped` is False for a line that was stored and has only to be told of.
    """

    place: Place
    reason: str
    skipped: bool = True


RecordLine: TypeAlias = ClientLine | SessionLine


def read_records(path: Path) -> Iterator[RecordLine | BadLine]:
    """Yield the file's lines in order, without the blank ones; holds one line at a time."""
    with path.open("rb") as file:
        number = size_bytes = 0
        while raw := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            size_bytes += len(raw)
            if len(raw) > MAX_LINE_BYTES:
                size_bytes += _skip_rest_of_line(file, raw)
                reason = f"The line is longer than {MAX_LINE_BYTES} bytes; shorten its texts."
                yield BadLine(Place(path, number, size_bytes), reason)
            elif text := raw.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").strip():
                yield _parse_line(text, Place(path, number, size_bytes))
            else:
                continue
            size_bytes = 0


def _skip_rest_of_line(file: BufferedReader, start: bytes) -> int:
    """Read on to the line's end in small pieces; return the bytes passed over."""
    skipped_bytes, piece = 0, start
    while piece and not piece.endswith(b"\n"):
        piece = file.readline(64 * 1024)
        skipped_bytes += len(piece)
    return skipped_bytes


def _parse_line(raw: bytes, place: Place) -> RecordLine | BadLine:
    try:
        fields = _parse_object(raw)
        written = _parse_name(fields, "workspace").strip()
        workspace_id = workspace_id_for(written)
        workspace = None if written.lower() == str(workspace_id) else written
        if fields.get("session_id") is None:
            return ClientLine(place, workspace, workspace_id, _parse_client(fields))
        return SessionLine(place, workspace, workspace_id, _parse_session(fields))
    except InvalidRecord as error:
        return BadLine(place, str(error))


def _parse_object(raw: bytes) -> Mapping[str, object]:
    try:
        parsed: object = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 at byte {error.start + 1}; save the file as UTF-8."
        raise InvalidRecord("line", reason) from None
    except json.JSONDecodeError as error:
        reason = f"is not JSON from column {error.colno}; write one whole JSON object a line."
        raise InvalidRecord("line", reason) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, a thousand brackets
        raise InvalidRecord("line", "is JSON that no record needs; export it again.") from None
    if not isinstance(parsed, dict):
        raise InvalidRecord("line", "is not a JSON object; write one object a line.")
    return parsed


def _parse_client(fields: Mapping[str, object]) -> Client:
    return Client(
        id=_parse_id(fields, "client_id"),
        name=_parse_name(fields, "client_name"),
        **{name: _parse_text(fields, name) for name in CLIENT_FIELDS},
    )


def _parse_session(fields: Mapping[str, object]) -> Session:
    return Session(
        id=_parse_id(fields, "session_id"),
        client_id=_parse_id(fields, "client_id"),
        session_date=_parse_date(fields, "session_date"),
        **{name: _parse_text(fields, name) for name in SESSION_FIELDS},
    )


def _parse_text(fields: Mapping[str, object], name: str) -> str:
    """Return the field's text, empty where it is absent or null."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidRecord(name, "is not a string; put it in quotation marks.")
    if "\x00" in value:
        raise InvalidRecord(name, "contains a NUL character; remove it.")
    try:
        size_bytes = len(value.encode("utf-8"))
    except UnicodeEncodeError:
        reason = "contains half of a surrogate pair (such as \\ud800); remove it."
        raise InvalidRecord(name, reason) from None
    if size_bytes > MAX_FIELD_BYTES:
        reason = f"is {size_bytes} bytes long; shorten it to {MAX_FIELD_BYTES}."
        raise InvalidRecord(name, reason)
    return value


def _parse_required(fields: Mapping[str, object], name: str) -> str:
    value = _parse_text(fields, name)
    if not value.strip():
        raise InvalidRecord(name, "is missing or empty; add it.")
    return value


def _parse_name(fields: Mapping[str, object], name: str) -> str:
    value = _parse_required(fields, name)
    if len(value) > MAX_NAME_CHARACTERS:
        raise InvalidRecord(name, f"is longer than {MAX_NAME_CHARACTERS} characters; shorten it.")
    return value


def _parse_id(fields: Mapping[str, object], name: str) -> UUID:
    value = _parse_required(fields, name)
    try:
        return UUID(value)
    except ValueError:
        example = "123e4567-e89b-12d3-a456-426614174000"
        raise InvalidRecord(name, f"is not a UUID; write it like {example}.") from None


def _parse_date(fields: Mapping[str, object], name: str) -> datetime:
    """Return the moment in UTC; a date is its midnight, and one without an offset is in UTC."""
    try:
        moment = datetime.fromisoformat(_parse_required(fields, name).strip())
    except ValueError:
        reason = "is not a date; write it as 2025-10-14 or 2025-10-14T09:00:00Z."
        raise InvalidRecord(name, reason) from None
    if moment.year not in YEARS:
        raise InvalidRecord(name, f"is not between {YEARS[0]} and {YEARS[-1]}; correct the year.")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
