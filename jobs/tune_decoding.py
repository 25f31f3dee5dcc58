"""Fit the weights that programs are ranked by; see --help."""

from pad_ray.base.config import Job
from pad_ray.evaluation.tuning_settings import TuningSettings

JOB = Job("tune_decoding", TuningSettings, "pad_ray.evaluation.tuning:tune")

if __name__ == "__main__":
    JOB.main()
