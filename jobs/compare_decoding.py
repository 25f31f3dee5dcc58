"""Compare decoding strategies on the same problems; see --help."""

from pad_ray.comparison import ComparisonSettings, compare
from pad_ray.config import run_job

if __name__ == "__main__":
    run_job(ComparisonSettings, compare, "compare_decoding")
