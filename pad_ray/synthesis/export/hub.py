"""Putting a finished folder on the Hugging Face Hub, with its mistakes said in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

from pad_ray.base.errors import ConfigError

__all__ = ["TOKEN_VARIABLE", "HubRepository", "open_repository"]

TOKEN_VARIABLE = "HF_TOKEN"
_REFUSED = {401, 403}
# What the HTTP client raises has no name in huggingface_hub's own interface, but is the base of its
# error; the part that sends large files raises bare RuntimeErrors.
_FAILURES = (cast(type[Exception], HfHubHTTPError.__bases__[0]), OSError, RuntimeError)


class HubRepository:
    """A dataset repository that the token may write to; made by `open_repository`."""

    def __init__(self, api: HfApi, repo_id: str) -> None:
        self._api = api
        self.repo_id = repo_id

    def push(self, folder: Path, patterns: Sequence[str], message: str) -> str:
        """Upload the files of `folder` that fit one of the patterns; return the commit's address.

        Raises `ConfigError` if the Hub cannot be reached or refuses.
        """
        with _one_line(self.repo_id):
            commit = self._api.upload_folder(
                repo_id=self.repo_id,
                repo_type="dataset",
                folder_path=folder,
                allow_patterns=list(patterns),
                commit_message=message,
            )
        return str(commit.commit_url)


def open_repository(repo_id: str, private: bool) -> HubRepository:
    """Make the dataset repository unless it is there, with the token of the environment.

    `private` is for one that is made. Raises `ConfigError` without a token, offline, for a
    malformed name, and if the Hub cannot be reached or refuses.
    """
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise ConfigError(
            f"push_to_hub: the environment variable {TOKEN_VARIABLE} is not set; put a token with "
            "write access there"
        )
    api = HfApi(token=token)
    with _one_line(repo_id):
        made = api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
    return HubRepository(api, made.repo_id)


@contextmanager
def _one_line(repo_id: str) -> Iterator[None]:
    try:
        yield
    except HFValidationError as error:
        raise ConfigError(f"push_to_hub: '{repo_id}' is no owner/name of the Hub") from error
    except OfflineModeIsEnabled as error:
        raise ConfigError(
            "push_to_hub: HF_HUB_OFFLINE is set in the environment; unset it to push"
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in _REFUSED:
            raise ConfigError(
                f"push_to_hub: the Hub refuses the token in {TOKEN_VARIABLE} for {repo_id} "
                f"({status}); use one with write access"
            ) from error
        said = " ".join((error.server_message or str(error)).split())
        raise ConfigError(f"push_to_hub: the Hub refuses {repo_id} ({status}): {said}") from error
    except _FAILURES as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(
            f"push_to_hub: the Hub cannot be reached ({said}); the same command tries again"
        ) from error
