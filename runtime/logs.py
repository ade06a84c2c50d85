"""Our log: one JSON object a line, on standard error.

Every process calls `configure_logging` once at its start; `log_sink` is where telemetry records go,
and `log` and `log_failure` are for what is no record: a start, a retry, a failure. Nobody else
formats a line. The logger does not propagate, so neither Ray's configuration nor a library's can
print our lines twice or in another form.

Content cannot be logged: a line holds numbers and names of ours. A string of any other shape, such
as a sentence, is withheld, and a message that reaches our logger by another way is not printed.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO, TypeAlias

from runtime import telemetry
from runtime.errors import AIAgentError

Field: TypeAlias = int | float | str | None

LOGGER_NAME: Final = "pazpaz"
WITHHELD: Final = "<withheld>"
MAX_FRAMES: Final = 8

_NAME: Final = re.compile(r"[A-Za-z0-9_.:/@+-]{0,200}")
"""The shape of what we name: providers, models, codes, classes, places. A note has spaces."""
_CAMEL: Final = re.compile(r"(?<!^)(?=[A-Z])")
_ROOT: Final = Path(__file__).resolve().parents[1]
_OUR_PACKAGES: Final = ("actors", "deployments", "runtime")
_FIELDS: Final = "pazpaz_fields"
_ERROR: Final = "pazpaz_error"

_logger = logging.getLogger(LOGGER_NAME)


def configure_logging(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Send our lines to `stream` (standard error), and nowhere else. Calling it again replaces it.

    Library loggers keep their own handlers; httpx's line a request is turned off, because URLs of
    an OpenAI-compatible server may carry a key.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(_JsonLine())
    _logger.handlers[:] = [handler]
    _logger.setLevel(level)
    _logger.propagate = False
    logging.getLogger("httpx").setLevel(logging.WARNING)


def log_sink(event: telemetry.Event) -> None:
    """Write one telemetry record under its class's name, `question_answered` and so on."""
    values: dict[str, Field] = {f.name: getattr(event, f.name) for f in fields(event)}
    failed = values.get("error_type") is not None
    name = _CAMEL.sub("_", type(event).__name__).lower()
    log(name, level=logging.WARNING if failed else logging.INFO, **values)


def log(event: str, /, *, level: int = logging.INFO, **values: Field) -> None:
    """Write one line. `event` is a fixed name; a value that is no name of ours is withheld."""
    _logger.log(level, event, extra={_FIELDS: values})


def log_failure(event: str, error: BaseException, /, **values: Field) -> None:
    """Write what failed: the error's type and our own frames, innermost last.

    Its message is written only where the error is one of ours, whose text holds no content; a
    foreign message may quote a note or a key.
    """
    _logger.error(event, extra={_FIELDS: values, _ERROR: _describe(error)})


def _describe(error: BaseException) -> dict[str, str | list[str]]:
    described: dict[str, str | list[str]] = {"error_type": type(error).__name__}
    if isinstance(error, AIAgentError):
        described["error"] = str(error)
    cause = error.__cause__
    if cause is not None:
        described["cause_type"] = type(cause).__name__
    described["frames"] = _our_frames(error)
    return described


def _our_frames(error: BaseException) -> list[str]:
    places = []
    for frame, line in traceback.walk_tb(error.__traceback__):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(_ROOT):
            place = path.relative_to(_ROOT)
            if place.parts[0] in _OUR_PACKAGES:
                places.append(f"{place.as_posix()}:{line}")
    return places[-MAX_FRAMES:]


class _JsonLine(logging.Formatter):
    """A record to its line. Never reads `args` or `exc_info`: they may hold anything."""

    def format(self, record: logging.LogRecord) -> str:
        values: dict[str, Field] | None = getattr(record, _FIELDS, None)
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": "unknown" if values is None else _shown(record.msg),
            "request_id": _shown(telemetry.request_id.get()),
        }
        line |= {name: _shown(value) for name, value in (values or {}).items()}
        line |= getattr(record, _ERROR, {})
        return json.dumps(line)


def _shown(value: Field) -> Field:
    if isinstance(value, str):
        return value if _NAME.fullmatch(value) else WITHHELD
    if isinstance(value, float):
        return round(value, 6)
    return value
