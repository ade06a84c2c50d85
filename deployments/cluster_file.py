"""What `up` reads of `cluster.yaml`, which is Serve's own config file.

Serve's schema is not used here: importing it makes Ray read its environment, which `up` has yet to
set. `serve deploy` reads the same file with that schema.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runtime.errors import ConfigurationError

CLUSTER_FILE: Final = Path(__file__).parents[1] / "cluster.yaml"


class _Deployment(BaseModel):
    """One deployment: its name, and options as Serve's decorator takes them."""

    model_config = ConfigDict(extra="allow")

    name: str


class _HttpOptions(BaseModel):
    """Where HTTP is served; what else stands there is Serve's."""

    model_config = ConfigDict(extra="allow")

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)


class _ServeApplication(BaseModel):
    """The application; its name and route are ours to say."""

    name: Literal["ai"]
    route_prefix: Literal["/"]
    args: dict[str, object] = {}
    deployments: list[_Deployment]

    @property
    def options(self) -> dict[str, dict[str, Any]]:
        """The options of each deployment, by its name."""
        return {each.name: each.model_extra or {} for each in self.deployments}


class ClusterFile(BaseModel):
    """The file, with the one application that it must hold."""

    proxy_location: str = "EveryNode"
    http_options: _HttpOptions
    applications: list[_ServeApplication] = Field(min_length=1, max_length=1)

    @property
    def application(self) -> _ServeApplication:
        """The one application."""
        return self.applications[0]


def read_cluster_file(path: Path = CLUSTER_FILE) -> ClusterFile:
    """Return the file's content.

    Raises: ConfigurationError, naming the file and the first fault.
    """
    remedy = "Compare it with the one shipped."
    try:
        return ClusterFile.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"])) or "the whole"
        reason = f"is not a Serve config of the application ai: see {place}."
        raise ConfigurationError(str(path), reason, remedy) from None
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        reason = f"is not a Serve config ({type(error).__name__})."
        raise ConfigurationError(str(path), reason, remedy) from None
