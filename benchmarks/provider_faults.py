"""What users notice when vendors fail: the whole application against the simulator, as JSON.

    python -m benchmarks.provider_faults random outage ceiling leaving killed > report.json

Starts a Ray of its own with four `chat` replicas, an empty database and a simulator, all on
loopback and gone at the end; needs no key and no network. Each scenario is bounded in time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx

from benchmarks.open_loop import Asked, ask_at_rate, ask_once, summarize
from benchmarks.simulator.admin import SimulatorAdmin, started_simulator
from benchmarks.simulator.behaviour import Fault

CHAT_REPLICAS: Final = 4
CEILING: Final = 600
"""Requests a minute of the scenario `ceiling`; the simulator counts any 60 s."""
LATENCY_MS: Final = 150.0
STOCKING_LOOKS: Final = 60
PEOPLE: Final = ("Noa Levi", "Dan Peretz", "Maya Cohen", "Uri Mizrahi", "Tal Shapiro")
FACTS: Final = (
    ("sleep", "wakes at three most nights and reads until five"),
    ("medication", "takes 50 mg of sertraline each morning"),
    ("work", "went back to work part time in March"),
    ("family", "has not spoken with her brother since the wedding"),
)


@dataclass(frozen=True, slots=True)
class Bench:
    """The running application, its vendor, and a client that may ask."""

    url: str
    simulator: SimulatorAdmin
    token: str

    def client(self) -> httpx.AsyncClient:
        """Return a client with room for an open loop's questions at once."""
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=120,
            limits=httpx.Limits(max_connections=1000, max_keepalive_connections=200),
        )


def question(number: int) -> str:
    """Return the n-th question: each is different, so no two share a prompt."""
    person = PEOPLE[number % len(PEOPLE)]
    topic, _ = FACTS[number // len(PEOPLE) % len(FACTS)]
    return f"What do the notes say about the {topic} of {person}? ({number})"


def is_right(number: int, answer: str) -> bool:
    """Whether the answer says what the record says."""
    return FACTS[number // len(PEOPLE) % len(FACTS)][1] in answer


# --- Scenarios --------------------------------------------------------------------------------


async def random_failures(bench: Bench) -> dict[str, object]:
    """2,000 questions while a tenth of the vendor's calls fail with 500 or 429."""
    count = 2000
    mix = [Fault(kind="500"), Fault(kind="429"), Fault(kind="429", retry_after_s=1)]
    bench.simulator.behave(fail_rate=0.1, fail_mix=mix)
    async with bench.client() as client:
        asked = await ask_at_rate(client, question, rate=20, count=count)
    counters = bench.simulator.counters()
    wrong = sum(
        each.is_full and not is_right(number, each.answer) for number, each in enumerate(asked)
    )
    lanes = {op: counters.of("cohere", op) for op in ("embed", "chat")}
    return {
        **summarize(asked),
        "full_share": sum(each.is_full for each in asked) / count,
        "wrong": wrong,
        "vendor_calls": {op: lane.requests for op, lane in lanes.items()},
        "most_calls_of_a_prompt": {op: lane.most_calls_of_a_prompt for op, lane in lanes.items()},
    }


async def outage(bench: Bench) -> dict[str, object]:
    """10 s of calm, 30 s in which every call fails, and 75 s after, at 8 questions a second."""
    rate, calm_s, outage_s, after_s = 8.0, 10, 30, 75
    count = int(rate * (calm_s + outage_s + after_s))
    started_s = time.perf_counter()
    began_s = ended_s = 0.0

    async def break_and_mend() -> None:
        nonlocal began_s, ended_s
        await asyncio.sleep(calm_s)
        began_s = time.perf_counter() - started_s
        await asyncio.to_thread(bench.simulator.behave, outage="503")
        await asyncio.sleep(outage_s)
        await asyncio.to_thread(bench.simulator.behave, outage=None)
        ended_s = time.perf_counter() - started_s

    async with bench.client() as client:
        asked, _ = await asyncio.gather(
            ask_at_rate(client, question, rate=rate, count=count), break_and_mend()
        )
    first_full_s = next(each.sent_at_s for each in asked if _since(each, ended_s) and each.is_full)
    calls = bench.simulator.calls()
    in_outage = [call for call in calls if began_s + 2 <= call.arrived_s < ended_s]
    in_calm = [call for call in calls if call.arrived_s < began_s]
    normal_rate = len(in_calm) / began_s
    return {
        **summarize(asked),
        "answered_share": sum(each.status == httpx.codes.OK for each in asked) / count,
        "calls_per_s_normal": round(normal_rate, 2),
        "calls_in_outage_after_2_s": len(in_outage),
        "calls_in_outage_share": round(len(in_outage) / (normal_rate * (ended_s - began_s - 2)), 4),
        "full_again_after_s": round(first_full_s - ended_s, 1),
    }


async def ceiling(bench: Bench) -> dict[str, object]:
    """Twice what the vendor allows in a minute, for 100 s, over four replicas."""
    bench.simulator.behave("chat", requests_per_minute=CEILING)
    rate = 2 * CEILING / 60
    async with bench.client() as client:
        asked = await ask_at_rate(client, question, rate=rate, count=int(rate * 100))
    lane = bench.simulator.counters().of("cohere", "chat")
    minute = lane.arrivals_per_s[30:90]
    return {
        **summarize(asked),
        "vendor_429s": lane.rate_limited,
        "calls_in_a_minute": sum(minute),
        "ceiling_used": round(sum(minute) / CEILING, 3),
    }


async def leaving(bench: Bench) -> dict[str, object]:
    """100 clients that leave after the first sentence of a slow stream."""
    clients = 100
    bench.simulator.behave("chat", piece_ms=500)
    everybody = asyncio.Barrier(clients + 1)

    async def read_and_leave(client: httpx.AsyncClient, number: int) -> None:
        body = {"query": question(number), "stream": True, "use_cache": False}
        async with client.stream("POST", "/api/v1/ai/agent/chat", json=body) as reply:
            lines = reply.aiter_lines()
            while await anext(lines) != "event: meta":
                pass
            await everybody.wait()  # `lines` is held: its end would close the connection

    async with bench.client() as client:
        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(read_and_leave(client, number))
            await asyncio.to_thread(
                bench.simulator.wait_for,
                lambda counters: counters.of("cohere", "chat").streams_started >= clients,
                30,
            )
            await everybody.wait()
            left_s = time.perf_counter()
        await asyncio.to_thread(
            bench.simulator.wait_for,
            lambda counters: counters.of("cohere", "chat").disconnects >= clients,
            30,
        )
        seen_s = time.perf_counter()
    lane = bench.simulator.counters().of("cohere", "chat")
    return {
        "clients": clients,
        "disconnects": lane.disconnects,
        "in_flight": lane.in_flight,
        "seen_after_s": round(seen_s - left_s, 2),
    }


async def killed(bench: Bench) -> dict[str, object]:
    """The circuit breaker's and the limiter's actors killed 20 times each under load."""
    import ray  # noqa: PLC0415 - `running` has set its environment by now

    kills, rate, killed = 20, 8.0, 0

    async def kill() -> None:
        nonlocal killed
        for number in range(kills):
            await asyncio.sleep(1.0)
            for name in ("circuit_breaker", "provider_limiter"):
                with suppress(ValueError):  # gone, and no replica has needed it since
                    actor = await asyncio.to_thread(ray.get_actor, name, namespace="ai")
                    ray.kill(actor, no_restart=number % 2 == 0)
                    killed += 1

    async with bench.client() as client:
        asked, _ = await asyncio.gather(
            ask_at_rate(client, question, rate=rate, count=int(rate * (kills + 5))), kill()
        )
    return {**summarize(asked), "actors_killed": killed}


def _since(asked: Asked, moment_s: float) -> bool:
    return asked.sent_at_s >= moment_s


SCENARIOS: Final[dict[str, Callable[[Bench], Coroutine[Any, Any, dict[str, object]]]]] = {
    "random": random_failures,
    "outage": outage,
    "ceiling": ceiling,
    "leaving": leaving,
    "killed": killed,
}


# --- The application under test ---------------------------------------------------------------


@contextmanager
def opened() -> Iterator[Bench]:
    """Start all of it, with a small practice stored and embedded."""
    with tempfile.TemporaryDirectory(prefix="pzp-") as place, started_simulator() as simulator:
        os.environ |= {
            "AI_DATA_DIR": place,
            "AI_JWT_SECRET": secrets.token_urlsafe(48),
            "COHERE_API_KEY": "any",
            "AI_COHERE_BASE_URL": simulator.url,
            "AI_EMBEDDING_PROVIDER": "cohere",
            "AI_CHAT_PROVIDER": "cohere",
            "AI_COHERE_CHAT_REQUESTS_PER_MINUTE": "6000",
            "AI_COHERE_EMBED_INPUTS_PER_MINUTE": "60000",
            "AI_CONCURRENT_QUESTIONS": "1000",
        }
        if "ceiling" in sys.argv:
            os.environ["AI_COHERE_CHAT_REQUESTS_PER_MINUTE"] = str(CEILING)
        with _serving() as url:
            yield _stock(url, simulator)


@contextmanager
def _serving() -> Iterator[str]:
    from deployments import local  # noqa: PLC0415 - reads the environment
    from deployments.cluster_file import read_cluster_file  # noqa: PLC0415
    from runtime.settings import load  # noqa: PLC0415

    config = read_cluster_file()
    for deployment in config.application.deployments:
        extra = deployment.model_extra or {}
        if deployment.name == "chat":
            extra["autoscaling_config"] = None
            extra["num_replicas"] = CHAT_REPLICAS
        extra["max_queued_requests"] = 2000
        extra["max_ongoing_requests"] = 1000
    settings, given = load(config.application.args)
    local.prepare(settings, given, demo=False)
    with local.running(settings, config, port=8765) as url:
        yield url


def _stock(url: str, simulator: SimulatorAdmin) -> Bench:
    from runtime.access.credentials import make_token  # noqa: PLC0415
    from runtime.clock import SystemClock  # noqa: PLC0415
    from runtime.messages import SCOPES  # noqa: PLC0415
    from runtime.settings import load_secrets  # noqa: PLC0415

    secret = load_secrets().jwt_secret
    assert secret is not None
    token = make_token(
        secret, workspace_id=uuid4(), scopes=SCOPES, subject="bench", ttl_s=86_400,
        clock=SystemClock(),
    )  # fmt: skip
    bench = Bench(url, simulator, token)
    asyncio.run(_store(bench))
    return bench


async def _store(bench: Bench) -> None:
    async with bench.client() as client:
        for person in PEOPLE:
            notes = " ".join(f"{topic.capitalize()}: {person} {fact}." for topic, fact in FACTS)
            body = {"client_name": person, "notes": notes}
            reply = await client.put(f"/api/v1/ai/clients/{uuid4()}", json=body)
            reply.raise_for_status()
        for _ in range(STOCKING_LOOKS):
            found = [await ask_once(client, question(n), since_s=0) for n in range(len(PEOPLE))]
            if all(is_right(number, each.answer) for number, each in enumerate(found)):
                return
            await asyncio.sleep(0.5)
        sys.exit("The practice was not embedded in time.")


def main() -> None:
    """Run the named scenarios, one after the other, and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="+", choices=sorted(SCENARIOS))
    parser.add_argument("--output", type=Path, help="instead of standard output")
    options = parser.parse_args()
    report: dict[str, object] = {}
    with opened() as bench:
        for name in options.scenarios:
            bench.simulator.reset()
            bench.simulator.behave(latency_ms=LATENCY_MS, jitter_ms=LATENCY_MS / 3)
            report[name] = asyncio.run(SCENARIOS[name](bench))
            print(name, json.dumps(report[name]), file=sys.stderr, flush=True)
    text = json.dumps(report, indent=1)
    if options.output is None:
        print(text)
    else:
        options.output.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
