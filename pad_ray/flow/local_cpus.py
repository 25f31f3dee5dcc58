"""The logical CPUs of a local Ray."""

from __future__ import annotations

# Ray Data's row checkpointing and fixed actor pools need a few logical CPUs side by side and
# deadlock with two; on small machines a local Ray counts each core more than once, so that a
# teacher, two sandboxes, reading, filtering and writing find room.
_LOCAL_CPUS = 6


def local_cpus(cores: int) -> int:
    """Return the logical CPUs of a local Ray on so many cores."""
    return max(_LOCAL_CPUS, cores)
