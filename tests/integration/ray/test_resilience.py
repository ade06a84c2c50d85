"""Vendors that fail, through the whole application: several replicas, and the simulator as vendor.

The figures at full length are `benchmarks/provider_faults.py`'s; here is what must hold each time.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

import httpx
import psutil
import pytest
import ray

from actors.guards import open_guards
from actors.handles import CIRCUIT_BREAKER, NAMESPACE, PROVIDER_LIMITER
from benchmarks.open_loop import Asked, ask_at_rate
from benchmarks.simulator.admin import SimulatorAdmin, started_simulator
from benchmarks.simulator.behaviour import Fault
from runtime import provider_assembly
from runtime.errors import ProviderError
from runtime.messages import ChatMessage, ChatRequest, Permit
from runtime.providers.fakes import FakeEmbedder
from runtime.settings import load
from runtime.telemetry import Event
from tests.integration.ray.conftest import Cluster, Practice, eventually

NOTE: Final = "She wakes at three most nights and reads until five."
COOLDOWN_S: Final = 3
CEILING: Final = 600
TOLD_WITHIN_S: Final = 0.25
"""Source: the promise of docs/decisions/0006-circuit-breaker.md."""
RETRIES: Final = {"embed": 3, "chat": 2}


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorAdmin]:
    with started_simulator() as admin:
        yield admin


@pytest.fixture(scope="module")
def practice(cluster: Cluster, simulator: SimulatorAdmin) -> Iterator[Practice]:
    """A practice whose questions go to the simulator, from four replicas of `chat`."""

    def change(application: dict[str, Any]) -> None:
        application["args"] = {
            "AI_EMBEDDING_PROVIDER": "cohere",
            "AI_CHAT_PROVIDER": "cohere",
            "AI_COHERE_BASE_URL": simulator.url,
            "AI_BREAKER_COOLDOWN_SECONDS": COOLDOWN_S,
            "AI_COHERE_CHAT_REQUESTS_PER_MINUTE": 0,
            "AI_COHERE_EMBED_INPUTS_PER_MINUTE": 0,
            "AI_REQUEST_DEADLINE_SECONDS": 30,
            "AI_CONCURRENT_QUESTIONS": 200,
        }
        _fix_chat_replicas(application, 4)

    cluster.deploy(change)
    with Practice(cluster) as practice:
        eventually(lambda: cluster.replicas().get("chat") == 4, within_s=120)
        stored = practice.put_client(uuid4(), client_name="Noa Levi", notes=NOTE)
        assert stored.is_success, stored.text
        eventually(lambda: _is_full(practice), within_s=60)
        yield practice
    # Autoscaling would keep the four for minutes.
    cluster.deploy(lambda application: _fix_chat_replicas(application, 1))
    eventually(lambda: cluster.replicas().get("chat") == 1, within_s=120)


def _fix_chat_replicas(application: dict[str, Any], count: int) -> None:
    for deployment in application["deployments"]:
        if deployment["name"] == "chat":
            del deployment["autoscaling_config"]
            deployment["num_replicas"] = count


@pytest.fixture
def vendor(practice: Practice, simulator: SimulatorAdmin) -> SimulatorAdmin:
    """The simulator as at its start, with every circuit closed."""
    simulator.reset()
    eventually(lambda: _is_full(practice), within_s=60)
    simulator.reset()
    return simulator


def _is_full(practice: Practice) -> bool:
    reply = practice.ask(question(0))
    return reply.is_success and not reply.json()["metadata"]["degraded"]


def question(number: int) -> str:
    return f"When does Noa wake at night? ({number})"


def ask_many(practice: Practice, *, rate: float, count: int) -> list[Asked]:
    async def ask() -> list[Asked]:
        limits = httpx.Limits(max_connections=500)
        url = str(practice.http.base_url).removesuffix("/api/v1/ai/")
        async with httpx.AsyncClient(
            base_url=url, headers=practice.http.headers, timeout=60, limits=limits
        ) as client:
            return await ask_at_rate(client, question, rate=rate, count=count)

    return asyncio.run(ask())


def test_one_call_in_ten_failing_is_hardly_noticed(
    practice: Practice, vendor: SimulatorAdmin
) -> None:
    mix = [Fault(kind="500"), Fault(kind="429"), Fault(kind="429", retry_after_s=1)]
    vendor.behave(fail_rate=0.1, fail_mix=mix)
    asked = ask_many(practice, rate=15, count=200)
    assert all(each.status == 200 for each in asked)
    assert sum(each.is_full for each in asked) >= 198
    assert all("wakes at three" in each.answer for each in asked)
    counters = vendor.counters()
    for operation, retries in RETRIES.items():
        lane = counters.of("cohere", operation)  # type: ignore[arg-type]
        assert lane.errors
        assert lane.most_calls_of_a_prompt <= 1 + retries


def test_an_outage_is_answered_without_the_vendor_and_over_when_it_is(
    practice: Practice, vendor: SimulatorAdmin
) -> None:
    vendor.behave(outage="503")
    asked = ask_many(practice, rate=10, count=80)
    assert all(each.status == 200 for each in asked)
    assert {word for each in asked for word in each.degraded} == {
        "embedding_unavailable",
        "chat_unavailable",
    }
    opened = next(n for n, each in enumerate(asked) if each.duration_s < 0.3)
    before = vendor.counters().requests()
    began_s = time.monotonic()
    degraded = ask_many(practice, rate=10, count=40)
    took_s = time.monotonic() - began_s
    assert all(each.degraded and each.status == 200 for each in degraded)
    assert all("wakes at three" in each.answer for each in degraded)
    probes = vendor.counters().requests() - before
    assert opened < len(asked)
    # Each of two circuits lets a probe through every `COOLDOWN_S`, and none else.
    assert probes <= 2 * (took_s // COOLDOWN_S + 1)
    vendor.behave(outage=None)
    eventually(lambda: _is_full(practice), within_s=60)


def test_the_actors_killed_under_load_cost_no_question(
    practice: Practice, vendor: SimulatorAdmin
) -> None:
    del vendor

    stop = threading.Event()
    asked: list[Asked] = []

    def keep_asking() -> None:
        while not stop.is_set():
            asked.extend(ask_many(practice, rate=10, count=20))

    load = threading.Thread(target=keep_asking)
    load.start()
    try:
        for number in range(20):
            for name in (CIRCUIT_BREAKER, PROVIDER_LIMITER):
                # Every other time it is gone for good, and a replica has to make it again.
                ray.kill(_find_actor(name), no_restart=number % 2 == 0)
    finally:
        stop.set()
        load.join()
    assert asked
    assert [each for each in asked if not each.is_full] == []


def test_the_actors_hung_cost_no_question(
    practice: Practice, vendor: SimulatorAdmin, cluster: Cluster
) -> None:
    del vendor
    eventually(lambda: len(_actor_processes(cluster)) == 2)
    hung = _actor_processes(cluster)
    for process in hung:
        process.suspend()
    try:
        asked = ask_many(practice, rate=10, count=30)
    finally:
        for process in hung:
            process.resume()
    assert [each for each in asked if not each.is_full] == []


def _actor_processes(cluster: Cluster) -> list[psutil.Process]:
    """Return those of the two actors that run just now."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            is_one = process.name().startswith(("ray::BreakerActor", "ray::LimiterActor"))
            if is_one and process.environ().get("AI_DATA_DIR") == str(cluster.data_dir):
                found.append(process)
    return found


def _find_actor(name: str) -> Any:
    """Return the named actor, once a replica has made it again."""
    found: list[Any] = []

    def find() -> bool:
        try:
            found.append(ray.get_actor(name, namespace=NAMESPACE))
        except ValueError:
            return False
        return True

    eventually(find)
    return found[-1]


@pytest.mark.parametrize(
    ("fault", "degraded"),
    [
        (Fault(kind="malformed"), ["chat_unavailable"]),
        (Fault(kind="truncated"), ["chat_unavailable"]),
        (Fault(kind="reset"), ["chat_unavailable"]),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_a_vendor_that_answers_nonsense_is_done_without(
    practice: Practice, vendor: SimulatorAdmin, fault: Fault, degraded: list[str]
) -> None:
    vendor.behave("chat", outage=fault)
    answer = practice.answer(question(1))
    assert answer["metadata"]["degraded"] == degraded
    assert answer["citations"][0]["quote"] == NOTE


def test_a_vendor_that_hangs_leaves_time_for_an_answer(
    practice: Practice, vendor: SimulatorAdmin
) -> None:
    vendor.behave(outage="hang")
    answer = practice.answer(question(2))
    assert set(answer["metadata"]["degraded"]) == {"embedding_unavailable", "chat_unavailable"}
    assert answer["processing_time_ms"] < 30_000
    assert answer["citations"][0]["quote"] == NOTE


def test_clients_who_leave_in_the_middle_of_a_stream_stop_the_vendors(
    practice: Practice, vendor: SimulatorAdmin, cluster: Cluster
) -> None:
    clients = 100
    vendor.behave("chat", piece_ms=20_000)  # none ends by itself while the others begin
    before = _estimated_tokens(cluster)

    async def leave_all() -> None:
        async with httpx.AsyncClient(
            headers=practice.http.headers, timeout=60, limits=httpx.Limits(max_connections=200)
        ) as client:
            everybody = asyncio.Barrier(clients + 1)

            async def read_and_leave(number: int) -> None:
                body = {"query": question(number), "stream": True, "use_cache": False}
                url = f"{practice.http.base_url}agent/chat"
                async with client.stream("POST", url, json=body) as reply:
                    assert reply.status_code == 200
                    lines = reply.aiter_lines()
                    while await anext(lines) != "event: meta":
                        pass
                    await everybody.wait()  # `lines` is held: its end would close the connection

            async with asyncio.TaskGroup() as group:
                for number in range(clients):
                    group.create_task(read_and_leave(number))
                await asyncio.to_thread(
                    vendor.wait_for,
                    lambda counters: counters.of("cohere", "chat").streams_started >= clients,
                    60,
                )
                await everybody.wait()

    asyncio.run(leave_all())
    counters = vendor.wait_for(
        lambda counts: counts.of("cohere", "chat").disconnects == clients, timeout_s=60
    )
    assert counters.of("cohere", "chat").in_flight == 0
    eventually(lambda: _estimated_tokens(cluster) > before)


def _estimated_tokens(cluster: Cluster) -> float:
    lines = httpx.get(cluster.metrics_url).text.splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("ai_agent_llm_tokens_total{") and 'token_type="input_estimated"' in line
    )


def test_the_circuits_and_their_state_are_told_to_operators(
    practice: Practice, vendor: SimulatorAdmin, cluster: Cluster
) -> None:
    vendor.behave("chat", outage="500")
    ask_many(practice, rate=10, count=10)
    eventually(lambda: _circuit_state(cluster, "cohere_chat") > 0)
    components = {part["name"]: part for part in _health(practice)["components"]}
    assert components["circuit_breaker"]["state"] == "degraded"
    assert "cohere_chat" in components["circuit_breaker"]["detail"]
    assert httpx.get(f"{cluster.url}/readyz").is_success
    vendor.behave("chat", outage=None)
    eventually(lambda: _is_full(practice), within_s=30)
    eventually(lambda: _circuit_state(cluster, "cohere_chat") == 0)


def _health(practice: Practice) -> dict[str, Any]:
    report: dict[str, Any] = practice.http.get("/health").json()
    return report


def _circuit_state(cluster: Cluster, circuit: str) -> float:
    wanted = f'ai_circuit_breaker_state{{circuit_breaker="{circuit}"}} '
    for line in httpx.get(cluster.metrics_url).text.splitlines():
        if line.startswith(wanted):
            return float(line.removeprefix(wanted))
    return -1


# --- The shared parts by themselves, over four processes ---------------------------------------


def _tell_nobody(event: Event) -> None:
    del event


class Replica:
    """A process with the guards and the chat model of a replica, for a test to steer."""

    def __init__(self, vendor_url: str) -> None:
        settings, _ = load(
            {
                "AI_METRICS_ENABLED": False,
                "AI_CHAT_PROVIDER": "cohere",
                "AI_COHERE_BASE_URL": vendor_url,
                "AI_COHERE_CHAT_REQUESTS_PER_MINUTE": CEILING,
            }
        )
        self._guards = open_guards(settings, _tell_nobody)
        embedder = FakeEmbedder()
        chats = provider_assembly.make_chats(settings, _tell_nobody, embedder, self._guards)
        self._chat = chats["cohere"]

    async def ask(self, *, rate: float, seconds: float) -> list[str]:
        """Ask at this rate, whatever becomes of the questions; return the errors' classes."""

        async def ask_at(due_s: float) -> str:
            await asyncio.sleep(due_s)
            request = ChatRequest("", (ChatMessage("user", f"How? {due_s}"),), (), "en")
            try:
                await self._chat.chat(request, timeout_s=2 * seconds)
            except ProviderError as error:
                return type(error).__name__
            return ""

        dues = (number / rate for number in range(int(rate * seconds)))
        return [name for name in await asyncio.gather(*map(ask_at, dues)) if name]

    async def fail(self, circuit: str) -> float:
        """Tell of a failed call; return when, on the machine's monotonic clock."""
        breaker = self._guards.breakers.circuit(circuit)
        permit = await breaker.admit()
        assert isinstance(permit, Permit)
        failed_at = time.monotonic()
        breaker.record(permit, "failed")
        return failed_at

    async def follow(self, circuit: str) -> bool:
        """Return whether the breaker knows of this replica and the circuit."""
        self._guards.breakers.circuit(circuit)
        return self._guards.breakers.is_linked

    async def opened_at(self, circuit: str) -> float:
        """Return when a call was first refused here."""
        breaker = self._guards.breakers.circuit(circuit)
        while isinstance(await breaker.admit(), Permit):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.002)
        return time.monotonic()


@pytest.fixture
def replicas(
    cluster: Cluster, practice: Practice, simulator: SimulatorAdmin
) -> Iterator[list[Any]]:
    """Four such processes; the two actors follow their settings then."""
    del practice
    simulator.reset()
    names = ("AI_DATA_DIR", "AI_JWT_SECRET", "COHERE_API_KEY")
    environment = {"env_vars": {name: cluster.environment[name] for name in names}}
    kind: Any = ray.remote(Replica).options(num_cpus=0.01, runtime_env=environment)
    made = [kind.remote(simulator.url) for _ in range(4)]
    yield made
    for each in made:
        ray.kill(each)


def test_five_failures_over_four_replicas_open_the_circuit_for_all(replicas: list[Any]) -> None:
    circuit = f"test_{uuid4().hex[:8]}"
    eventually(lambda: all(ray.get([each.follow.remote(circuit) for each in replicas])))
    watching = [each.opened_at.remote(circuit) for each in replicas]
    failed_at = [ray.get(replicas[number % 4].fail.remote(circuit)) for number in range(5)]
    opened_at: list[float] = ray.get(watching, timeout=30)
    # One machine, one monotonic clock. Each replica's own failures are one or two: it is told.
    assert max(opened_at) - max(failed_at) < TOLD_WITHIN_S


def test_the_cluster_stays_under_the_vendors_ceiling_and_uses_it(
    replicas: list[Any], simulator: SimulatorAdmin
) -> None:
    circuit = "cohere_chat"
    eventually(lambda: all(ray.get([each.follow.remote(circuit) for each in replicas])))
    simulator.behave("chat", requests_per_minute=CEILING, latency_ms=100)
    # Twice what is allowed, for longer than the minute that the vendor looks back.
    rate = 2 * CEILING / 60 / len(replicas)
    asking = [each.ask.remote(rate=rate, seconds=68) for each in replicas]
    eventually(lambda: len(_arrivals(simulator)) > 66, within_s=120)
    lane = simulator.counters().of("cohere", "chat")
    minute = _arrivals(simulator)[5:65]
    for each in replicas:
        ray.kill(each)
    del asking
    assert lane.rate_limited == 0
    assert 0.9 * CEILING <= sum(minute) <= CEILING


def _arrivals(simulator: SimulatorAdmin) -> list[int]:
    """Return the calls of each second since the first."""
    seconds = simulator.counters().of("cohere", "chat").arrivals_per_s
    return list(itertools.dropwhile(lambda calls: calls == 0, seconds))
