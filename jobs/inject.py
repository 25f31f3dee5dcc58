"""Break verified programs on purpose, for a student that learns to repair; see --help."""

from pad_ray.base.config import Job
from pad_ray.synthesis.repairs.settings import InjectionSettings

JOB = Job("inject", InjectionSettings, "pad_ray.synthesis.repairs.injections.run:inject_errors")

if __name__ == "__main__":
    JOB.main()
