"""Let evaluated students vote on each problem, weighted by what they are worth elsewhere."""

from pad_ray.base.config import Job
from pad_ray.evaluation.settings import EnsembleSettings

JOB = Job("ensemble", EnsembleSettings, "pad_ray.evaluation.ensemble:vote_together")

if __name__ == "__main__":
    JOB.main()
