"""What a job asks of a cluster before it writes: room for its actors, and shared storage."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import ray

from pad_ray.base.errors import ConfigError, ResourceError
from pad_ray.flow import ready
from pad_ray.flow.ready import Need, check_room, check_shared, join_for, nodes_without
from pad_ray.flow.rows import ActorStage


class SpellingStage:
    """Never made."""


def refusal(*needs: Need) -> str:
    with pytest.raises(ResourceError) as caught:
        check_room(needs, wait=False)
    said = str(caught.value)
    assert "--wait_for_resources true" in said and "\n" not in said
    return said


def test_what_fits_is_not_remarked_on(local_ray: None) -> None:
    check_room([Need("teacher", 2, 1.5), Need("reading", 2, 1.0)], wait=False)


def test_what_one_actor_takes_must_fit_one_node(local_ray: None) -> None:
    said = refusal(Need("worker", 1, 7.0, smaller="cpus_per_worker"))
    assert said.startswith(
        "each worker needs 7 CPU on one node, where the most is 6 CPU; lower cpus_per_worker, add "
    )
    # The GPU is what lacks, whatever the CPUs.
    said = refusal(Need("worker", 9, 1.0, 1.0, "workers"))
    assert said.startswith("each worker needs 1 GPU and 1 CPU on one node, where the most is 0 GPU")


def test_all_actors_together_must_fit_the_cluster(local_ray: None) -> None:
    said = refusal(Need("teacher", 5, 1.0, fewer="the number of actors"), Need("reading", 2, 1.0))
    assert said.startswith(
        "the job needs 7 CPU (teacher 5, reading 2), the cluster has 6; lower the number of "
        "actors, add nodes, or give "
    )
    # Nothing to lower where there is one of each.
    assert "lower" not in refusal(Need("teacher", 1, 5.0), Need("reading", 2, 1.0))


def test_nothing_is_written_where_actors_do_not_fit(local_ray: None, tmp_path: Path) -> None:
    stage = ActorStage(SpellingStage, {}, actors=8)
    with pytest.raises(ResourceError, match=r"10 CPU \(spelling 8, reading 2\)"):
        join_for(tmp_path / "out", [stage], wait=False)
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_is_refused_before_ray_is_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "connect", lambda: pytest.fail("joined"))
    (tmp_path / "file").touch()
    for out in ("file", "file/out"):
        with pytest.raises(ConfigError, match=r"^out: cannot write in .*/file is no folder$"):
            join_for(tmp_path / out, [], wait=False)


def test_a_node_says_what_it_sees(
    local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {ray.get_runtime_context().get_node_id(): "10.0.0.7"}
    there = tmp_path / "there"
    there.touch()
    assert nodes_without(there, here) == []
    assert nodes_without(tmp_path / "gone", here) == ["10.0.0.7"]


def test_storage_that_is_not_shared_is_refused_and_left_as_it_was(
    local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's own node stands for another one, which sees less: a file that is gone."""
    node = ray.get_runtime_context().get_node_id()
    monkeypatch.setattr(ready, "_other_nodes", lambda: {node: "10.0.0.7"})
    check_shared(tmp_path / "seen/b")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(Path, "touch", lambda self: None)
    with pytest.raises(ConfigError, match=r"out: .*/a/b is not on storage .* 10\.0\.0\.7 does not"):
        check_shared(tmp_path / "a/b")
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written_is_refused(
    local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "_other_nodes", lambda: {"node": "10.0.0.7"})
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"out: cannot write in .*file/out: Not a directory"):
        check_shared(tmp_path / "file/out")


@pytest.mark.slow
def test_a_job_waits_until_a_node_is_added(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ray.cluster_utils import Cluster

    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        ray.init(cluster.address, log_to_driver=False)
        stages = [ActorStage(SpellingStage, {}, actors=3)]
        waiting = threading.Thread(
            target=join_for, args=(tmp_path / "out", stages, True), daemon=True
        )
        waiting.start()
        # A node can be added by the main thread alone.
        while not ray.util.placement_group_table():
            waiting.join(0.2)
            assert waiting.is_alive()
        cluster.add_node(num_cpus=6)
        waiting.join(60)
        assert not waiting.is_alive()
        assert ray.cluster_resources()["CPU"] == 7
        assert "waiting for nodes: the job needs 5 CPU" in capsys.readouterr().out
        # What was waited for is free again.
        assert ray.util.placement_group([{"CPU": 6}]).wait(30)
        assert not (tmp_path / "out").exists()  # both nodes see this machine's files
    finally:
        ray.shutdown()
        cluster.shutdown()
