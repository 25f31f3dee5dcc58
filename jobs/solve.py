"""Ask a student one question; see --help."""

from pad_ray.base.config import Job
from pad_ray.decoding.one_question_settings import AskSettings

JOB = Job("solve", AskSettings, "pad_ray.decoding.one_question:ask", positional="question")

if __name__ == "__main__":
    JOB.main()
