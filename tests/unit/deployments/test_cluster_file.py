from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import RayActorOptionsSchema, ServeDeploySchema

from deployments.cluster_file import CLUSTER_FILE, read_cluster_file
from runtime.errors import ConfigurationError


def test_the_shipped_file_is_read_as_serve_reads_it() -> None:
    ours = read_cluster_file()
    serves = ServeDeploySchema.model_validate(yaml.safe_load(CLUSTER_FILE.read_text("utf-8")))
    assert ours.http_options.port == serves.http_options.port
    assert ours.application.name == serves.applications[0].name
    assert list(ours.application.options) == [d.name for d in serves.applications[0].deployments]


def test_no_option_of_the_shipped_file_is_misspelt() -> None:
    """Serve ignores what it does not know, so a misspelt bound would pass in silence."""
    content = yaml.safe_load(CLUSTER_FILE.read_text("utf-8"))
    read = ServeDeploySchema.model_validate(content).model_dump(warnings=False)
    assert unknown(content, read) == []
    for deployment in content["applications"][0]["deployments"]:
        assert not deployment["autoscaling_config"].keys() - AutoscalingConfig.model_fields.keys()
        assert (
            not deployment["ray_actor_options"].keys() - RayActorOptionsSchema.model_fields.keys()
        )


def unknown(given: object, read: object, place: str = "") -> list[str]:
    if isinstance(given, dict) and isinstance(read, dict):
        return [
            fault
            for key, value in given.items()
            for fault in (
                unknown(value, read[key], f"{place}.{key}") if key in read else [f"{place}.{key}"]
            )
        ]
    if isinstance(given, list) and isinstance(read, list):
        return [
            fault
            for one, other in zip(given, read, strict=True)
            for fault in unknown(one, other, place)
        ]
    return []


@pytest.mark.parametrize(
    "content",
    [None, "", "- a list", "http_options: {}", "a: [", "x: 1", "http_options: {port: 0}"],
)
def test_a_file_that_is_no_serve_config_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "cluster.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match="not a Serve config") as caught:
        read_cluster_file(path)
    assert caught.value.name == str(path)
