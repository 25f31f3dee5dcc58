"""Pair a student's failed programs with right ones, for it to learn from; see --help."""

from pad_ray.base.config import Job
from pad_ray.synthesis.repairs.settings import FailureSettings

JOB = Job(
    "collect_failures", FailureSettings, "pad_ray.synthesis.repairs.failures:collect_failures"
)

if __name__ == "__main__":
    JOB.main()
