"""Ask a student one question; see --help."""

from pad_ray.asking import AskSettings, ask
from pad_ray.config import Job

JOB = Job("solve", AskSettings, ask, positional="question")

if __name__ == "__main__":
    JOB.main()
