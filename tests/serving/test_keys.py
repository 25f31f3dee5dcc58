"""Keys: hashed, several, with a rate each; nobody else comes in."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pad_ray.base.errors import ConfigError
from pad_ray.serving.errors import ApiError
from pad_ray.serving.keys import Doorkeeper, hashed, main, read_keys
from pad_ray.serving.settings import DoorSettings


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys"
    file.write_text(f"# ours\n\nann:{hashed('key-a')}\n  bob:{hashed('key-b')}\n")
    return file


def test_keys_come_from_file_and_environment(
    keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAD_RAY_API_KEYS", f"cy:{hashed('key-c')},")
    keeper = Doorkeeper(DoorSettings(keys_file=keys_file))
    for name, key in (("ann", "key-a"), ("bob", "key-b"), ("cy", "key-c")):
        assert keeper.admit(f"Bearer {key}", "192.0.2.1") == name


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer key-d", "Basic key-a", "key-a", "Bearer é"]
)
def test_strangers_stay_outside_even_on_loopback(keys_file: Path, header: str | None) -> None:
    keeper = Doorkeeper(DoorSettings(keys_file=keys_file))
    with pytest.raises(ApiError) as caught:
        keeper.admit(header, "127.0.0.1")
    assert caught.value.status == 401
    assert "key-a" not in caught.value.message


@pytest.mark.parametrize(
    ("client", "enters"),
    [
        *[("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("10.0.0.1", False)],
        *[(None, False), ("localhost.evil", False), ("::ffff:10.0.0.1", False)],
    ],
)
def test_without_keys_only_loopback_is_served(client: str | None, enters: bool) -> None:
    keeper = Doorkeeper(DoorSettings(keys_env="PAD_RAY_NO_SUCH_KEYS"))
    if enters:
        assert keeper.admit(None, client) == "loopback"
        return
    with pytest.raises(ApiError, match="only this machine") as caught:
        keeper.admit(None, client)
    assert caught.value.status == 401


def test_each_key_has_a_rate_of_its_own(keys_file: Path) -> None:
    keeper = Doorkeeper(DoorSettings(keys_file=keys_file, requests_a_minute=3))
    for _ in range(3):
        keeper.admit("Bearer key-a", None)
    with pytest.raises(ApiError) as caught:
        keeper.admit("Bearer key-a", None)
    assert caught.value.status == 429
    assert caught.value.retry_after_s is not None and 0 < caught.value.retry_after_s <= 20
    assert keeper.admit("Bearer key-b", None, 3) == "bob"


def test_a_rate_fills_up_again(keys_file: Path) -> None:
    keeper = Doorkeeper(DoorSettings(keys_file=keys_file, requests_a_minute=600))
    keeper.admit("Bearer key-a", None, 600)
    with pytest.raises(ApiError) as caught:
        keeper.admit("Bearer key-a", None, 2)
    time.sleep(caught.value.retry_after_s or 0)
    keeper.admit("Bearer key-a", None, 2)


@pytest.mark.parametrize("line", ["ann", "ann:key", "a b:" + "0" * 64, "ann:" + "0" * 63])
def test_a_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "keys"
    file.write_text(f"bob:{hashed('b')}\n{line}\n")
    with pytest.raises(ConfigError, match=r"keys, line 2: expected name:sha256-hex"):
        read_keys(DoorSettings(keys_file=file))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"doors.keys_file: .*nowhere: No such file"):
        read_keys(DoorSettings(keys_file=tmp_path / "nowhere"))


def test_a_new_key_opens_with_the_line_it_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ann"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    key, line = first.split(": ")[1], second.split(":  ")[1]
    file = tmp_path / "keys"
    file.write_text(line)
    assert key not in line
    assert Doorkeeper(DoorSettings(keys_file=file)).admit(f"Bearer {key}", None) == "ann"
    assert main([]) == main(["a b"]) == 2
