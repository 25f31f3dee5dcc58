"""Look at the output space of one or several students; see --help."""

from pad_ray.base.config import Job
from pad_ray.evaluation.analysis.settings import AnalysisSettings

JOB = Job("analyze", AnalysisSettings, "pad_ray.evaluation.analysis.run:analyze")

if __name__ == "__main__":
    JOB.main()
