"""An actor's handle without Ray, and its look-up by name."""

from __future__ import annotations

import asyncio
import threading
from typing import Any


class Handle:
    """An actor's handle: each method returns an awaitable, ends as told, or never."""

    def __init__(self, outcome: object) -> None:
        self.outcome = outcome
        self.asked: list[tuple[str, tuple[object, ...], dict[str, object]]] = []
        self.waiting = asyncio.Event()

    def __getattr__(self, method: str) -> Any:
        return _Method(self, method)

    async def answer(self) -> object:
        self.waiting.set()
        if self.outcome is None:
            await asyncio.Event().wait()
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


class _Method:
    def __init__(self, handle: Handle, name: str) -> None:
        self.handle = handle
        self.name = name

    def remote(self, *args: object, **kwargs: object) -> asyncio.Future[object]:
        self.handle.asked.append((self.name, args, kwargs))
        return asyncio.ensure_future(self.handle.answer())


class Opener:
    """Gives out handles in turn, as a look-up by name does."""

    def __init__(self, *handles: Handle | BaseException) -> None:
        self.handles = list(handles)
        self.threads: list[int] = []

    def __call__(self) -> Handle:
        self.threads.append(threading.get_ident())
        handle = self.handles.pop(0)
        if isinstance(handle, BaseException):
            raise handle
        return handle
