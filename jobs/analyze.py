"""Look at the output space of one or several students; see --help."""

from pad_ray.analysis_settings import AnalysisSettings
from pad_ray.base.config import Job

JOB = Job("analyze", AnalysisSettings, "pad_ray.analysis:analyze")

if __name__ == "__main__":
    JOB.main()
