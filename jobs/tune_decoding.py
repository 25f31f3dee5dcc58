"""Fit the weights that programs are ranked by; see --help."""

from pad_ray.config import run_job
from pad_ray.tuning import TuningSettings, tune

if __name__ == "__main__":
    run_job(TuningSettings, tune, "tune_decoding")
