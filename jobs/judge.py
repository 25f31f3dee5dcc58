"""Judge a dataset's completions again, under another rule; see --help."""

from pad_ray.base.config import Job
from pad_ray.synthesis.settings import JudgeSettings

JOB = Job("judge", JudgeSettings, "pad_ray.synthesis.rejudgement:judge_again")

if __name__ == "__main__":
    JOB.main()
