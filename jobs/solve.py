"""Ask a student one question; see --help."""

from pad_ray.asking import AskSettings, ask
from pad_ray.config import run_job

if __name__ == "__main__":
    run_job(AskSettings, ask, "solve", positional="question")
