"""Running a job on a cluster by Ray's job API, through its dashboard's port alone.

What the job reads goes along: pad-ray's own code, the settings, and every input that the settings
name by a relative path. An absolute path is the cluster's own, and is not looked for here.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pad_ray.base.commands import command, find_job, job_names
from pad_ray.base.config import Job, Settings, read_fields
from pad_ray.base.errors import ConfigError
from pad_ray.pipeline.submission.package import pack

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

_OWN_NAME = "submit"
_FOLLOW = "follow"


class SubmitSettings(Settings):
    """Run a job on a cluster: `pad-ray submit JOB [these flags] [the job's own flags]`.

    Follows the job's output and ends with its exit status; interrupted, it asks whether to stop
    the job. `pad-ray submit follow --submission_id ID` goes on following a job.
    """

    job: str
    """A job by name, or `follow`."""
    address: str = Field(
        default_factory=lambda: os.environ.get("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:8265")
    )
    """The cluster's dashboard; RAY_API_SERVER_ADDRESS unless given. Its token is looked for where
    Ray does: RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token."""
    storage: Path | None = None
    """A folder that every node of the cluster mounts. Relative outputs are made there, and inputs
    that are not on this machine are looked for there."""
    env: list[str] = Field(default=[])
    """Environment variables of the job: NAME as it is here, or NAME=VALUE. Who can open the
    dashboard sees them: keep secrets in the cluster."""
    runtime_env: Path | None = None
    """YAML file with more of Ray's runtime environment: pip, image_uri, env_vars."""
    submission_id: str | None = None
    """The job's name on the cluster; made by Ray unless given."""
    entrypoint_num_cpus: float = Field(0, ge=0)
    """CPUs that the driver takes. Above 0 it runs on a worker node, and outlives the head."""
    entrypoint_num_gpus: float = Field(0, ge=0)
    """GPUs that the driver takes."""
    entrypoint_memory_gb: float = Field(0, ge=0)
    """Memory that the driver takes, in GB."""
    verify: bool | Path = True
    """Check the address's TLS certificate: true, false, or a file or folder of authorities."""
    wait: bool = True
    """Follow the job to its end."""
    arguments: list[str] = Field(default=[])
    """The job's own."""


def submit(settings: SubmitSettings) -> None:
    """Submit a job and follow it; leaves by `SystemExit` with the job's status unless it is 0.

    Raises `ConfigError` for settings that the job would refuse, before anything is sent, and
    `ClusterError` for a cluster that cannot be reached or refuses.
    """
    _use_token()
    if settings.job == _FOLLOW:
        if settings.submission_id is None:
            raise ConfigError("submission_id: say which job to follow")
        _end(settings, _client(settings), settings.submission_id)
        return
    job = _submitted(settings.job)
    with tempfile.TemporaryDirectory(prefix="pad-ray-") as folder:
        entrypoint = pack(job, job.parse(settings.arguments), Path(folder), settings.storage)
        environment = _runtime_env(settings, folder)
        client = _client(settings)
        submission_id = _send(settings, client, entrypoint, environment)
    print(f"submit: {submission_id} on {settings.address}", flush=True)
    if settings.wait:
        _end(settings, client, submission_id)
    else:
        print(f"submit: follow it with: {_follow_command(settings, submission_id)}")


def _use_token() -> None:
    """Have Ray's clients send the token; they read the mode once, before Ray is imported."""
    named = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ)
    if named or Path("~/.ray/auth_token").expanduser().is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _submitted(name: str) -> Job[Any]:
    names = [one for one in job_names() if one != _OWN_NAME]
    if name not in names:
        raise ConfigError(f"job: unknown job {name!r}; one of {', '.join(names)}, {_FOLLOW}")
    return find_job(name)


def _client(settings: SubmitSettings) -> JobSubmissionClient:
    from pad_ray.pipeline.submission.client import connect

    verify = settings.verify if isinstance(settings.verify, bool) else str(settings.verify)
    return connect(settings.address, verify)


def _send(
    settings: SubmitSettings,
    client: JobSubmissionClient,
    entrypoint: str,
    environment: dict[str, Any],
) -> str:
    from pad_ray.pipeline.submission.client import mistakes_told

    with mistakes_told(settings.address):
        return client.submit_job(
            entrypoint=entrypoint,
            submission_id=settings.submission_id,
            runtime_env=environment,
            metadata={"job": settings.job},
            entrypoint_num_cpus=settings.entrypoint_num_cpus,
            entrypoint_num_gpus=settings.entrypoint_num_gpus,
            entrypoint_memory=round(settings.entrypoint_memory_gb * 1e9),
        )


def _end(settings: SubmitSettings, client: JobSubmissionClient, submission_id: str) -> None:
    from pad_ray.pipeline.submission.client import follow

    status = follow(client, submission_id, _follow_command(settings, submission_id))
    if status != 0:
        raise SystemExit(status)


def _follow_command(settings: SubmitSettings, submission_id: str) -> str:
    flags = ["--address", settings.address, "--submission_id", submission_id]
    return command(_OWN_NAME, _FOLLOW, *flags)


def _runtime_env(settings: SubmitSettings, folder: str) -> dict[str, Any]:
    path = settings.runtime_env
    given = {} if path is None else read_fields(path, "runtime_env")
    if not isinstance(given.get("env_vars", {}), dict):
        raise ConfigError(f"runtime_env: {path}: env_vars: expected variables, name: value")
    if "working_dir" in given:
        raise ConfigError(
            "runtime_env: working_dir is made of the job and its inputs; leave it out"
        )
    variables = dict(_variable(text) for text in settings.env)
    own = {"PYTHONUNBUFFERED": "1"}
    return given | {
        "working_dir": folder,
        "env_vars": own | given.get("env_vars", {}) | variables,
    }


def _variable(text: str) -> tuple[str, str]:
    name, given, value = text.partition("=")
    if given:
        return name, value
    if name not in os.environ:
        raise ConfigError(f"env: {name} is not set here; write {name}=VALUE")
    return name, os.environ[name]
