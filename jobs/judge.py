"""Judge a dataset's completions again, under another rule; see --help."""

from pad_ray.config import Job
from pad_ray.rejudging import JudgeSettings, judge_again

JOB = Job("judge", JudgeSettings, judge_again)

if __name__ == "__main__":
    JOB.main()
