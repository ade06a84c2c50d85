"""The border of Cohere's file: its exceptions, httpx's and aiohttp's become ours.

`cohere.py` wraps every call in `translated`. Only a status or a class name is kept of what failed,
never a message, since that may quote the prompt.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from cohere.core import pydantic_utilities
from cohere.core.api_error import ApiError
from cohere.core.parse_error import ParsingError
from cohere.v2 import raw_client

from runtime.errors import AIAgentError, Operation
from runtime.ports import Clock
from runtime.providers.failures import kind_of_exception, kind_of_status
from runtime.providers.transport import asked_wait_s


class MalformedEventError(ValueError):
    """A piece of a stream that cannot be read."""


@contextmanager
def translated(model: str, operation: Operation, clock: Clock) -> Iterator[None]:
    """Turn every failure of the libraries below into one of ours.

    Raises: ProviderError.
    """
    try:
        yield
    except AIAgentError:
        raise
    except (ApiError, ParsingError) as error:
        status = error.status_code or 0
        wait_s = asked_wait_s(error.headers or {}, clock.now())
        kind = kind_of_status(status)
        raise kind("cohere", model, operation, f"HTTP {status}", wait_s) from None
    except Exception as error:
        found = kind_of_exception(error)
        if found is None:
            raise
        raise found("cohere", model, operation, type(error).__name__, None) from None


def _refuse(*message: object) -> NoReturn:
    del message
    raise MalformedEventError


# The client logs the text of a stream's malformed event and goes on without it, in two places. We
# want neither the text in a log nor an answer with a hole.
raw_client.warning = raw_client.error = _refuse  # type: ignore[attr-defined,assignment]
pydantic_utilities._logger.warning = _refuse  # type: ignore[assignment,method-assign] # noqa: SLF001
