"""What is raised in a replica or an actor reaches its caller as it was: type, fields and text."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import ray
from ray import serve

from actors.boundary import call, unwrap
from runtime import errors
from runtime.errors import ActorUnavailable, AIAgentError
from tests.integration.ray.conftest import Cluster


def every_error() -> list[AIAgentError]:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    return [make(kind) for kind in kinds if issubclass(kind, AIAgentError)]


def make(kind: type[AIAgentError]) -> AIAgentError:
    if kind.__init__ is Exception.__init__:
        return kind()
    values: list[object] = []
    for parameter in list(inspect.signature(kind.__init__).parameters.values())[1:]:
        assert parameter.kind is parameter.POSITIONAL_OR_KEYWORD, (kind, parameter)
        values.append({"float": 1.5, "float | None": 2.5}.get(parameter.annotation, "embed"))
    return kind(*values)


class Raiser:
    def raise_it(self, pickled: bytes) -> None:
        raise pickle.loads(pickled)

    async def hang(self) -> None:
        await asyncio.Event().wait()


@pytest.fixture(scope="module")
def handle(cluster: Cluster) -> Iterator[Any]:
    del cluster
    options = {"num_cpus": 0.01}
    deployment = serve.deployment(name="raiser", ray_actor_options=options)(Raiser)
    yield serve.run(deployment.bind(), name="raiser", route_prefix=None)
    serve.delete("raiser")


@pytest.fixture(scope="module")
def actor(cluster: Cluster) -> Iterator[Any]:
    del cluster
    actor: Any = ray.remote(Raiser).options(num_cpus=0).remote()
    yield actor
    ray.kill(actor)


@pytest.mark.parametrize("error", every_error(), ids=lambda error: type(error).__name__)
def test_every_error_survives_a_live_actor_and_both_paths_of_a_handle(
    error: AIAgentError, actor: Any, handle: Any
) -> None:
    sent = pickle.dumps(error)
    remotes: list[Callable[[], Any]] = [
        lambda: ray.get(actor.raise_it.remote(sent)),
        lambda: handle.raise_it.remote(sent).result(),
        lambda: handle.options(_by_reference=False).raise_it.remote(sent).result(),
    ]
    for remote in remotes:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - what comes is looked at below
            remote()
        received = unwrap(caught.value, actor="raiser")
        assert type(received) is type(error)
        assert vars(received) == vars(error)
        assert str(received) == str(error)


async def test_a_callee_that_does_not_answer_in_time_is_unavailable(handle: Any) -> None:
    with pytest.raises(ActorUnavailable, match="no answer within"):
        await call(handle.hang.remote(), actor="raiser", timeout_s=0.2)


async def test_a_dead_actor_is_unavailable(cluster: Cluster) -> None:
    del cluster
    actor: Any = ray.remote(Raiser).options(num_cpus=0).remote()
    ray.kill(actor)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - as above
        await actor.hang.remote()
    assert isinstance(unwrap(caught.value, actor="raiser"), ActorUnavailable)
