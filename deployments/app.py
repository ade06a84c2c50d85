"""The composition root: which deployments there are, and which is given a handle of which.

`cluster.yaml` names `deployments.app:build`; `pazpaz-agent up` wires the same graph. No postponed
annotations here: Serve validates the YAML's `args` only if the annotation is a class.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.serve import Application, Deployment

from deployments.chat import ChatDeployment
from deployments.embedding import EmbeddingDeployment
from deployments.orchestrator import Orchestrator
from runtime.settings import Settings, load, require_credentials

APPLICATION = "ai"


class Arguments(BaseModel):
    """The `args` of `cluster.yaml`: any setting, which then wins over the environment's."""

    model_config = ConfigDict(extra="allow")


def build(args: Arguments) -> Application:
    """Return the application `ai`; its counts and limits stand in `cluster.yaml`, which wins.

    Raises: ConfigurationError.
    """
    settings, secrets = load(args.model_extra or {})
    require_credentials(settings, secrets)
    return wire(settings, {})


def wire(settings: Settings, options: dict[str, dict[str, Any]]) -> Application:
    """Return the application with Serve options for each deployment by name."""

    def deployment(kind: type, name: str) -> Deployment:
        return serve.deployment(name=name, **options.get(name, {}))(kind)

    embedding = deployment(EmbeddingDeployment, "embedding").bind(settings)
    chat = deployment(ChatDeployment, "chat").bind(settings, embedding)
    orchestrator = deployment(serve.ingress()(Orchestrator), "orchestrator")
    return orchestrator.bind(settings, embedding, chat)
