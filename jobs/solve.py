"""Ask a student one question; see --help."""

from pad_ray.asking_settings import AskSettings
from pad_ray.base.config import Job

JOB = Job("solve", AskSettings, "pad_ray.asking:ask", positional="question")

if __name__ == "__main__":
    JOB.main()
