"""`GuardedCall`: retry(break(limit(call))), the only place where anything is made again.

`guarded_embedder.py` and `guarded_chat.py` put it around a vendor's embedder and chat model; the
vendors' own clients never retry. Every attempt asks the breaker first, so an open circuit costs no
token of the limiter's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from tenacity import AsyncRetrying, RetryCallState

from runtime.errors import CircuitOpen, ProviderError, ProviderTimeout, RateLimitError
from runtime.messages import Refusal
from runtime.resilience.backoff import LEAST_USEFUL_S, choose_delay_s
from runtime.resilience.deadline import Deadline
from runtime.resilience.outcomes import outcome_of
from runtime.telemetry import CallRetried, GuardedCallEnded

if TYPE_CHECKING:
    from runtime.errors import Operation
    from runtime.messages import Cost, Outcome, Permit, Priority
    from runtime.ports import Breaker, Clock, Limiter, RetryBudget
    from runtime.resilience.backoff import RetryPolicy, Uniform
    from runtime.telemetry import Emit

T = TypeVar("T")

HANDBACK_S: Final = 0.1
"""Kept back from each attempt (a tenth of a short one), so that a vendor's time-out is known before
those who wait for it leave: their leaving would pass for the end of the call, and a vendor that
hangs would never count as failing."""
MOST_PATIENCE_S: Final = 10.0
"""How long a question waits for our own limiter: an extract now is worth more than an answer that
would come after a minute, which is what a vendor may ask us to wait."""
STALE_S: Final = 0.25
"""A permit that waited longer for the limiter is asked for again: what waits in line when a circuit
opens must not reach the vendor. Source: all replicas know of an opening within this time."""


class GuardedCall:
    """Makes the calls of one provider's one operation, and makes failed ones again.

    Its circuit is `<provider>_<operation>`; `sleep` and `uniform` are handed in by tests.
    """

    def __init__(
        self,
        provider: str,
        model: str,
        *,
        operation: Operation,
        policy: RetryPolicy,
        breaker: Breaker,
        limiter: Limiter,
        budget: RetryBudget,
        emit: Emit,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Uniform = random.uniform,
    ) -> None:
        self.provider = provider
        self.model = model
        self.operation: Operation = operation
        self.circuit = f"{provider}_{operation}"
        self.policy = policy
        self.breaker = breaker
        self.limiter = limiter
        self.budget = budget
        self.emit = emit
        self.clock = clock
        self.sleep = sleep
        self.uniform = uniform

    async def run(
        self,
        call: Callable[[float], Awaitable[T]],
        *,
        tokens_of: Callable[[T], int],
        cost: Cost,
        timeout_s: float,
        priority: Priority = "interactive",
    ) -> T:
        """Return what `call` returns, which is given the seconds that it may take.

        `tokens_of` tells what the vendor counted, 0 if nothing.

        Raises: ProviderError.
        """
        with self.begin(cost, timeout_s=timeout_s, priority=priority) as run:

            async def once() -> T:
                async with run.attempt() as attempt:
                    result = await call(attempt.timeout_s)
                    attempt.succeed(tokens_of(result))
                    return result

            return await run.retry(once)

    @contextmanager
    def begin(
        self, cost: Cost, *, timeout_s: float, priority: Priority = "interactive"
    ) -> Iterator[GuardedRun]:
        """Begin an operation that ends with the block; told of then, with all its attempts."""
        started_s = self.clock.monotonic()
        run = GuardedRun(self, cost, timeout_s=timeout_s, priority=priority)
        error: BaseException | None = None
        try:
            yield run
        except BaseException as raised:
            error = raised
            raise
        finally:
            self.emit(
                GuardedCallEnded(
                    operation=self.operation,
                    circuit=self.circuit,
                    outcome=run.outcome(error),
                    attempts=run.attempts,
                    duration_s=self.clock.monotonic() - started_s,
                )
            )

    def error(
        self, kind: type[ProviderError], reason: str, retry_after_s: float | None
    ) -> ProviderError:
        """Return an error of ours about this operation."""
        return kind(self.provider, self.model, self.operation, reason, retry_after_s)


class GuardedRun:
    """One operation: its attempts, within one deadline. Made by `GuardedCall.begin`."""

    def __init__(
        self, guard: GuardedCall, cost: Cost, *, timeout_s: float, priority: Priority
    ) -> None:
        self.attempts = 0
        self.succeeded = False
        self._guard = guard
        self._cost = cost
        self._priority: Priority = priority
        self._deadline = Deadline(guard.clock, timeout_s)
        self._refused: Literal["circuit_open", "throttled"] | None = None
        self._waited_s = 0.0
        self._delay_s = 0.0

    async def retry(self, once: Callable[[], Awaitable[T]]) -> T:
        """Return what `once`, an `async def`, returns; made again as the policy allows.

        Raises: ProviderError.
        """
        retrying = AsyncRetrying(
            retry=self._may_try_again,
            wait=lambda _: self._delay_s,
            before_sleep=self._before_sleep,
            sleep=self._guard.sleep,
            reraise=True,
        )
        result: T = await retrying(once)
        return result

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[Attempt]:
        """Get leave for one call, which the block makes; how it ended is told on every path.

        Raises: CircuitOpen, RateLimitError (our own limiter's), ProviderTimeout (no time left).
        """
        guard = self._guard
        if not self._deadline.remaining_s():
            raise guard.error(ProviderTimeout, "no time was left for the call", None)
        attempt = Attempt(self, guard, permit=await self._admit(), cost=self._cost)
        try:
            if await self._throttle() > STALE_S:
                attempt.tell("ignored")
                attempt.renew(await self._admit())
            self.attempts += 1
            if self.attempts == 1:
                guard.budget.count_call()
            remaining_s = self._deadline.remaining_s()
            attempt.timeout_s = remaining_s - min(HANDBACK_S, remaining_s / 10)
            try:
                yield attempt
            except ProviderError as error:
                attempt.fail(error)
                raise
        finally:
            attempt.tell("ignored")  # unless it was told of: the caller left, or the fault is ours

    def outcome(
        self, error: BaseException | None
    ) -> Literal[
        "first_try", "recovered", "exhausted", "fatal", "circuit_open", "throttled", "cancelled"
    ]:
        """Return how the operation ended, in `GuardedCallEnded`'s words."""
        if self.succeeded:
            return "first_try" if self.attempts == 1 else "recovered"
        if not isinstance(error, Exception):
            return "cancelled"
        if self._refused is not None:
            return self._refused
        return "exhausted" if isinstance(error, ProviderError) and error.retryable else "fatal"

    async def _admit(self) -> Permit:
        permit = await self._guard.breaker.admit()
        if isinstance(permit, Refusal):
            self._refused = "circuit_open"
            raise self._guard.error(CircuitOpen, "the circuit is open", permit.retry_after_s)
        return permit

    async def _throttle(self) -> float:
        """Wait for the limiter; return the seconds that it took."""
        asked_at_s = self._guard.clock.monotonic()
        remaining_s = self._deadline.remaining_s()
        refusal = await self._guard.limiter.acquire(
            self._cost,
            priority=self._priority,
            timeout_s=self._patience_s(remaining_s),
        )
        if refusal is not None:
            self._refused = "throttled"
            raise self._guard.error(RateLimitError, "our own limit", refusal.retry_after_s)
        return self._guard.clock.monotonic() - asked_at_s

    def _patience_s(self, remaining_s: float) -> float:
        patience_s = max(remaining_s - LEAST_USEFUL_S, remaining_s / 2)
        return min(patience_s, MOST_PATIENCE_S) if self._priority == "interactive" else patience_s

    async def _may_try_again(self, state: RetryCallState) -> bool:
        error, guard = _error_of(state), self._guard
        if not isinstance(error, ProviderError) or not error.retryable or self._refused:
            return False
        if state.attempt_number > guard.policy.max_retries:
            return False
        delay_s = choose_delay_s(
            guard.policy,
            retry=state.attempt_number,
            retry_after_s=error.retry_after_s,
            room_s=min(
                self._deadline.remaining_s() - LEAST_USEFUL_S,
                guard.policy.total_wait_s - self._waited_s,
            ),
            uniform=guard.uniform,
        )
        if delay_s is None or not await guard.budget.take():
            return False
        self._delay_s = delay_s
        return True

    def _before_sleep(self, state: RetryCallState) -> None:
        self._waited_s += self._delay_s
        self._guard.emit(
            CallRetried(
                operation=self._guard.operation,
                circuit=self._guard.circuit,
                attempt=state.attempt_number,
                delay_s=self._delay_s,
                error_type=type(_error_of(state)).__name__,
            )
        )


class Attempt:
    """One call that has leave. It may take `timeout_s`; a reader used up `reader_s` of them."""

    def __init__(self, run: GuardedRun, guard: GuardedCall, *, permit: Permit, cost: Cost) -> None:
        self.timeout_s = 0.0
        self.reader_s = 0.0
        self._run = run
        self._guard = guard
        self._permit: Permit | None = permit
        self._cost = cost

    def succeed(self, tokens: int) -> None:
        """Tell that the vendor did all that was asked; `tokens` as it counted them, or 0."""
        self._run.succeeded = True
        self.tell("succeeded")
        if tokens:
            self.settle(tokens)

    def fail(self, error: ProviderError) -> None:
        """Tell what the error says of the vendor."""
        if isinstance(error, RateLimitError):
            self._guard.limiter.slow_down(error.retry_after_s)
        unfair = self.timeout_s - self.reader_s < LEAST_USEFUL_S
        if isinstance(error, ProviderTimeout) and unfair:
            self.tell("ignored")
        else:
            self.tell(outcome_of(error))

    def renew(self, permit: Permit) -> None:
        """Take another permit, the one before having been told of."""
        self._permit = permit

    def settle(self, tokens: int) -> None:
        """Correct the limiter's books, which took the estimate."""
        self._guard.limiter.settle(estimated_tokens=self._cost.tokens, used_tokens=tokens)

    def tell(self, outcome: Outcome) -> None:
        """Tell the breaker how the call ended; only the first word of it counts."""
        permit, self._permit = self._permit, None
        if permit is not None:
            self._guard.breaker.record(permit, outcome)


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
