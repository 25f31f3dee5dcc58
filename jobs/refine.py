"""Teach a student to repair its own programs, in rounds; see --help."""

from pad_ray.base.config import Job
from pad_ray.pipeline.refinement.settings import RefinementSettings

JOB = Job("refine", RefinementSettings, "pad_ray.pipeline.refinement.run:refine")

if __name__ == "__main__":
    JOB.main()
