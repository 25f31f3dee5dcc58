"""Teach a student to repair its own programs, in rounds; see --help."""

from pad_ray.config import Job
from pad_ray.refinement.rounds import RefinementSettings, refine

JOB = Job("refine", RefinementSettings, refine)

if __name__ == "__main__":
    JOB.main()
