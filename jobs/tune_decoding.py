"""Fit the weights that programs are ranked by; see --help."""

from pad_ray.config import Job
from pad_ray.tuning import TuningSettings, tune

JOB = Job("tune_decoding", TuningSettings, tune)

if __name__ == "__main__":
    JOB.main()
