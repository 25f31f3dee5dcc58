"""Make a verified dataset with a teacher and the sandbox; see --help."""

from pad_ray.config import run_job
from pad_ray.synthesis import SynthesisSettings, synthesize

if __name__ == "__main__":
    run_job(SynthesisSettings, synthesize, "synthesize")
