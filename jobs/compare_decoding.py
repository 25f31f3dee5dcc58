"""Compare decoding strategies on the same problems; see --help."""

from pad_ray.base.config import Job
from pad_ray.evaluation.comparison_settings import ComparisonSettings

JOB = Job("compare_decoding", ComparisonSettings, "pad_ray.evaluation.comparison:compare")

if __name__ == "__main__":
    JOB.main()
