"""The files of `ray up`: Ray's own validation, and of one mind with the image and the jobs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import cli

LAUNCHER = Path(__file__).parents[2] / "cluster/launcher"
FILES = sorted(LAUNCHER.glob("*.yaml"))


def prepared(path: Path) -> dict[str, Any]:
    """Return the configuration as `ray up` has it before it asks the cloud for anything."""
    config = prepare_config(yaml.safe_load(path.read_text()))
    # `ray up` adds this before it validates.
    config.setdefault("cluster_synced_files", [])
    return dict(config)


def test_there_is_a_file_for_each_place() -> None:
    assert {path.stem for path in FILES} == {"aws", "gcp", "on-premise"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_ray_accepts_the_file(path: Path) -> None:
    assert path.read_text().startswith(f"# ray up cluster/launcher/{path.name} ")
    validate_config(prepared(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_ray_refuses_a_mistake(path: Path) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate_config({**prepared(path), "idle_timeout_minute": 5})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_start_command_is_one_that_ray_has(path: Path) -> None:
    config = prepared(path)
    commands = config["head_start_ray_commands"] + config["worker_start_ray_commands"]
    for command in commands:
        _, name, *flags = command.split()
        options = {flag for parameter in cli.commands[name].params for flag in parameter.opts}
        assert {flag.partition("=")[0] for flag in flags} <= options, command
    (head,) = (command for command in commands if "--head" in command)
    assert "--num-cpus=0" in head and "--dashboard-host=127.0.0.1" in head


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nodes_run_the_image_without_privileges_behind_a_token(path: Path) -> None:
    config = prepared(path)
    assert re.fullmatch(r"REGISTRY/pad-ray:(cpu|cuda)", config["docker"]["image"])
    options = config["docker"]["run_options"]
    assert {"--cap-drop ALL", "--security-opt no-new-privileges"} <= set(options)
    assert "--env RAY_AUTH_MODE=token" in options and "--volume /shared:/shared" in options
    assert config["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}
    # All that a node needs is in the image, whose packages are held to hashes.
    assert not config["setup_commands"] + config["head_setup_commands"]


@pytest.mark.parametrize("place", ["aws", "gcp"])
def test_synthesis_alone_is_on_spot_nodes(place: str) -> None:
    config = prepared(LAUNCHER / f"{place}.yaml")
    types = config["available_node_types"]
    spot = {name for name, node in types.items() if "spot" in str(node["node_config"]).lower()}
    assert spot == {"synthesis"}
    assert types["head"]["resources"] == {"CPU": 0} and config["head_node_type"] == "head"
    assert types["training"]["docker"]["worker_image"] == "REGISTRY/pad-ray:cuda"
    assert types["training"]["resources"]["GPU"] == 1
    assert all(node["min_workers"] == 0 for node in types.values())
    assert sum(node["max_workers"] for node in types.values()) == config["max_workers"]
