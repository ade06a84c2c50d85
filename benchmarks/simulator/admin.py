"""A simulator in a process of its own: starting it, and its admin API with types.

For tests and benchmarks whose calls come from other processes, such as Ray's workers.
"""

from __future__ import annotations

import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Literal, Self, Unpack

import httpx

from benchmarks.simulator.behaviour import Behaviour, BehaviourFields, Change
from benchmarks.simulator.calls import Operation, Vendor
from benchmarks.simulator.counters import Counters, LoggedCall, LoggedCalls

FIRST_LINE: Final = "listening on "
START_TIMEOUT_S: Final = 60.0

_ROOT: Final = Path(__file__).parents[2]
_POLL_S: Final = 5.0


class SimulatorAdmin:
    """The admin API of the simulator at `url`. It blocks: in an event loop, give it a thread."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=_POLL_S + 10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connection."""
        self._http.close()

    def behave(
        self,
        operation: Operation | Literal["all"] = "all",
        vendor: Vendor | Literal["all"] = "all",
        **fields: Unpack[BehaviourFields],
    ) -> None:
        """Change the named fields from the next call on.

        Raises: ValidationError, before anything is sent.
        """
        given = {"operation": operation, "vendor": vendor, **fields}
        change = Change.model_validate(given)
        body = change.model_dump(mode="json", include=set(given))
        self._http.post("/_simulator/behaviour", json=body).raise_for_status()

    def reset(self, *, behaviour: bool = True) -> None:
        """Forget all counts; unless told not to, behave as the flags at the start said."""
        answer = self._http.post("/_simulator/reset", json={"behaviour": behaviour})
        answer.raise_for_status()

    def counters(self) -> Counters:
        """Return all counts as they are now."""
        return self._counters({})

    def calls(self, *, since_s: float = 0) -> list[LoggedCall]:
        """Return the latest calls that arrived from then on, in order of arrival."""
        answer = self._http.get("/_simulator/calls", params={"since_s": since_s})
        return LoggedCalls.validate_json(answer.raise_for_status().content)

    def wait_for(self, predicate: Callable[[Counters], bool], timeout_s: float = 10) -> Counters:
        """Return the first counts for which the predicate holds; the server says when they change.

        Raises: TimeoutError, with the counts as they are.
        """
        deadline_s = time.monotonic() + timeout_s
        counters = self.counters()
        while not predicate(counters):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(counters.model_dump_json())
            counters = self._counters({"after": counters.version, "wait_s": min(left_s, _POLL_S)})
        return counters

    def _counters(self, query: dict[str, float]) -> Counters:
        answer = self._http.get("/_simulator/counters", params=query)
        return Counters.model_validate_json(answer.raise_for_status().content)


@contextmanager
def started_simulator(
    behaviour: Behaviour | None = None, *, seed: int = 0, for_s: float = 3600
) -> Iterator[SimulatorAdmin]:
    """Start a simulator in a process of its own, on a free port, and end it at the end.

    It ends by itself after `for_s` seconds, whatever becomes of this process.

    Raises: RuntimeError, where it does not start.
    """
    command = [sys.executable, "-m", "benchmarks.provider_simulator", "--port", "0"]
    command += ["--seed", str(seed), "--for", str(for_s)]
    if behaviour is not None:
        command += ["--behaviour", behaviour.model_dump_json(exclude_unset=True)]
    with subprocess.Popen(  # noqa: S603 - ours
        command, stdout=subprocess.PIPE, text=True, cwd=_ROOT
    ) as process:
        try:
            assert process.stdout is not None
            with SimulatorAdmin(_first_url(process.stdout)) as admin:
                yield admin
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _first_url(output: IO[str]) -> str:
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        line = output.readline() if selector.select(START_TIMEOUT_S) else ""
    if not line.startswith(FIRST_LINE):
        raise RuntimeError("the simulator did not start")
    return line.removeprefix(FIRST_LINE).strip()
