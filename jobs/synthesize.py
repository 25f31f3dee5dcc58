"""Make a verified dataset with a teacher and the sandbox; see --help."""

from pad_ray.base.config import Job
from pad_ray.synthesis.settings import SynthesisSettings

JOB = Job("synthesize", SynthesisSettings, "pad_ray.synthesis.run:synthesize")

if __name__ == "__main__":
    JOB.main()
