"""Look at the output space of one or several students; see --help."""

from pad_ray.analysis import AnalysisSettings, analyze
from pad_ray.config import Job

JOB = Job("analyze", AnalysisSettings, analyze)

if __name__ == "__main__":
    JOB.main()
