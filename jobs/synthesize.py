"""Make a verified dataset with a teacher and the sandbox; see --help."""

from pad_ray.config import Job
from pad_ray.synthesis import SynthesisSettings, synthesize

JOB = Job("synthesize", SynthesisSettings, synthesize)

if __name__ == "__main__":
    JOB.main()
