"""Let evaluated students vote on each problem, weighted by what they are worth elsewhere."""

from pad_ray.config import Job
from pad_ray.ensemble import EnsembleSettings, vote_together

JOB = Job("ensemble", EnsembleSettings, vote_together)

if __name__ == "__main__":
    JOB.main()
