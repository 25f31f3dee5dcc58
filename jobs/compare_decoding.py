"""Compare decoding strategies on the same problems; see --help."""

from pad_ray.comparison import ComparisonSettings, compare
from pad_ray.config import Job

JOB = Job("compare_decoding", ComparisonSettings, compare)

if __name__ == "__main__":
    JOB.main()
