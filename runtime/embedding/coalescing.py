"""Texts that arrive together go to the provider together, and identical ones once.

Around the embedding deployment's one Embedder. The shared calls belong to no caller: they run in
tasks of an empty context, since Ray Serve cancels whatever was created in a request's own.
"""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from runtime.errors import (
    BadProviderResponse,
    ContentRefused,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from runtime.messages import Embedded, InputType, Priority
from runtime.resilience.deadline import Deadline
from runtime.splitting import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.messages import EmbeddingModel, Matrix, Vector
    from runtime.ports import Clock, Embedder

WINDOW_S: Final = 0.005
"""How long the first text of a call waits for others: a twentieth of what a vendor takes."""
MOST_TEXTS: Final = 96
"""Source: docs.cohere.com/reference/embed (v2): at most 96 texts a call."""
CALLS_AT_ONCE: Final = 32
"""Of one kind; more wait, and gather texts meanwhile. At 150 ms a call, one starts every 5 ms."""
JOIN_SLACK_S: Final = 1.0
"""A caller joins a call under way that ends no more than this before its own deadline."""
EXTRA_CALLS: Final = 6
EXTRA_CALLS_EARNED: Final = 2
"""A refused call is made again in halves while that helps: each half that succeeds earns two more
calls, which is what it takes to halve its other half again. So up to three bad texts of 96 are told
from the rest, and a vendor that refuses everything, as for a bad key, sees six calls more.

Source: docs/decisions/0008-retries-and-deadlines.md.
"""

_ONE_TEXTS_FAULT: Final = (ProviderRejected, ContentRefused, BadProviderResponse)
_Lane: TypeAlias = tuple[InputType, Priority]


class CoalescingEmbedder:
    """An `Embedder` that makes one call of many callers' texts.

    A call starts when `window_s` is over or `most_texts` are there. A list that would fill one goes
    through by itself. Each caller has its own deadline and may leave; the call ends when all have.
    """

    def __init__(
        self,
        inner: Embedder,
        *,
        clock: Clock,
        window_s: float = WINDOW_S,
        most_texts: int = MOST_TEXTS,
        calls_at_once: int = CALLS_AT_ONCE,
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._window_s = window_s
        self._most_texts = most_texts
        self._calls_at_once = calls_at_once
        self._turns: dict[_Lane, asyncio.Semaphore] = {}
        self._open: dict[_Lane, _Batch] = {}
        self._asked: dict[tuple[_Lane, str], _Item] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def model(self) -> EmbeddingModel:
        """The wrapped Embedder's."""
        return self._inner.model

    async def embed_text(self, text: str, *, input_type: InputType, timeout_s: float) -> Embedded:
        """As Embedder.embed_text.

        Raises: ProviderError.
        """
        return await self.embed_texts([text], input_type=input_type, timeout_s=timeout_s)

    async def embed_texts(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        timeout_s: float,
        priority: Priority = "interactive",
    ) -> Embedded:
        """As Embedder.embed_texts; the tokens are this caller's share of the calls'.

        Raises: ProviderError.
        """
        vectors: Matrix = np.zeros((len(texts), self.model.dimensions), dtype=np.float32)
        rows = [row for row, text in enumerate(texts) if text.strip()]
        if not rows:
            return Embedded(vectors, 0)
        if len(rows) >= self._most_texts:
            return await self._inner.embed_texts(
                texts, input_type=input_type, timeout_s=timeout_s, priority=priority
            )
        deadline = Deadline(self._clock, timeout_s)
        lane = (input_type, priority)
        items = [self._ask(texts[row], lane, deadline.at_s) for row in rows]
        try:
            await asyncio.wait(
                {item.row for item in items},
                timeout=deadline.remaining_s(),
                return_when=asyncio.FIRST_EXCEPTION,
            )
            self._raise_failure(items)
            for row, item in zip(rows, items, strict=True):
                vectors[row] = item.row.result()
            return Embedded(vectors, sum(item.take_share() for item in items))
        finally:
            for item in items:
                self._leave(item)

    def _raise_failure(self, items: list[_Item]) -> None:
        failures = [item.row.exception() for item in items if item.row.done()]
        for error in failures:
            if error is not None:
                # Each caller gets its own: one object raised in many tasks gathers all their frames
                raise copy.copy(error) if isinstance(error, ProviderError) else error
        if len(failures) < len(items):
            raise self._error(ProviderTimeout, "no answer before the caller's deadline")

    # --- What callers ask for ---------------------------------------------------------------

    def _ask(self, text: str, lane: _Lane, deadline_s: float) -> _Item:
        """Return the text's item with one caller more: one that is asked already, or a new one."""
        input_type, _ = lane
        # An interactive caller never waits for a batch's call, which is served after others.
        lanes: tuple[_Lane, ...] = (lane, (input_type, "interactive"))
        for asked_lane in lanes:
            asked = self._asked.get((asked_lane, text))
            if asked is not None and asked.batch.ends_by_s(deadline_s):
                asked.join(deadline_s)
                return asked
        batch = self._open.get(lane) or self._start_batch(lane)
        item = self._asked[lane, text] = _Item(text, batch)
        item.join(deadline_s)
        batch.items.append(item)
        if len(batch.items) == self._most_texts:
            self._close(batch)
        return item

    def _leave(self, item: _Item) -> None:
        item.callers -= 1
        if item.callers:
            return
        batch = item.batch
        self._forget([item])  # the call may go on without it, so nobody may join it now
        if batch.task is not None and not any(item.is_wanted() for item in batch.items):
            self._close(batch)
            batch.task.cancel()

    # --- The shared calls ---------------------------------------------------------------------

    def _start_batch(self, lane: _Lane) -> _Batch:
        batch = self._open[lane] = _Batch(lane)
        serving = self._serve(batch)
        batch.task = asyncio.get_running_loop().create_task(serving, context=Context())
        self._tasks.add(batch.task)  # the loop itself keeps only weak references
        batch.task.add_done_callback(self._tasks.discard)
        return batch

    def _close(self, batch: _Batch) -> None:
        """Take no more texts."""
        batch.closed.set()
        if self._open.get(batch.lane) is batch:
            del self._open[batch.lane]

    def _forget(self, items: list[_Item]) -> None:
        for item in items:
            if self._asked.get((item.batch.lane, item.text)) is item:
                del self._asked[item.batch.lane, item.text]

    async def _serve(self, batch: _Batch) -> None:
        turns = self._turns.setdefault(batch.lane, asyncio.Semaphore(self._calls_at_once))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._window_s):
                    await batch.closed.wait()
            async with turns:
                self._close(batch)
                await self._embed(batch)
        except Exception as error:  # noqa: BLE001  a fault of ours: its callers are to see it
            batch.fail(error)
        except BaseException:
            # A cancelled task's waiters are not cancelled themselves, but wait no longer.
            batch.fail(self._error(ProviderUnavailable, "the shared call was stopped"))
            raise
        finally:
            self._forget(batch.items)

    async def _embed(self, batch: _Batch) -> None:
        """Ask for all; what is refused for perhaps one text's fault, again in halves.

        Any other failure is the vendor's, and ends it for all.
        """
        parts = deque([batch.items])
        calls_left = 1 + EXTRA_CALLS
        refusal: ProviderError | None = None
        while parts:
            part = [item for item in parts.popleft() if item.is_wanted()]
            if not part:
                continue
            if refusal is not None and not calls_left:
                _fail(part, refusal)
                continue
            calls_left -= 1
            try:
                await self._call(batch, part)
            except _ONE_TEXTS_FAULT as error:
                refusal = error
                if len(part) == 1:
                    _fail(part, error)
                else:
                    half = len(part) // 2
                    parts += [part[:half], part[half:]]
            except ProviderError as error:
                batch.fail(error)
            else:
                calls_left += EXTRA_CALLS_EARNED

    async def _call(self, batch: _Batch, items: list[_Item]) -> None:
        input_type, priority = batch.lane
        batch.deadline_s = max(item.deadline_s for item in items)
        embedded = await self._inner.embed_texts(
            [item.text for item in items],
            input_type=input_type,
            timeout_s=max(batch.deadline_s - self._clock.monotonic(), 0.0),
            priority=priority,
        )
        shares = _shares(embedded.tokens, [estimate_tokens(item.text) for item in items])
        for item, row, tokens in zip(items, embedded.vectors, shares, strict=True):
            item.succeed(row, tokens)

    def _error(self, kind: type[ProviderError], reason: str) -> ProviderError:
        return kind(self.model.provider, self.model.name, "embed", reason, None)


class _Batch:
    """The texts of one call. `deadline_s` is None until the call is under way."""

    def __init__(self, lane: _Lane) -> None:
        self.lane = lane
        self.items: list[_Item] = []
        self.closed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.deadline_s: float | None = None

    def ends_by_s(self, deadline_s: float) -> bool:
        """Whether a caller with that deadline loses next to nothing of its time by joining."""
        return self.deadline_s is None or deadline_s <= self.deadline_s + JOIN_SLACK_S

    def fail(self, error: BaseException) -> None:
        _fail(self.items, error)


class _Item:
    """One text, and the callers that wait for its row."""

    def __init__(self, text: str, batch: _Batch) -> None:
        self.text = text
        self.batch = batch
        self.row: asyncio.Future[Vector] = asyncio.get_running_loop().create_future()
        self.callers = 0
        self.deadline_s = 0.0
        self._tokens = 0

    def join(self, deadline_s: float) -> None:
        self.callers += 1
        self.deadline_s = max(self.deadline_s, deadline_s)

    def is_wanted(self) -> bool:
        return self.callers > 0 and not self.row.done()

    def succeed(self, row: Vector, tokens: int) -> None:
        self._tokens = tokens
        self.row.set_result(row)

    def take_share(self) -> int:
        """Return what is this caller's of the tokens; each takes it before it leaves."""
        share = self._tokens // self.callers
        self._tokens -= share
        return share


def _fail(items: list[_Item], error: BaseException) -> None:
    for item in items:
        if not item.row.done():
            item.row.set_exception(error)
            item.row.exception()  # marks it as seen: all of its callers may have left


def _shares(tokens: int, weights: list[int]) -> list[int]:
    """Return the tokens in proportion to the weights; the parts sum to the whole."""
    whole = sum(weights)
    shares: list[int] = []
    weight = 0
    for part in weights:
        weight += part
        shares.append(round(tokens * weight / whole) - sum(shares) if whole else 0)
    return shares
