"""What a calibration with a paid teacher costs, told before anything is asked."""

from __future__ import annotations

from itertools import islice
from statistics import fmean

from pad_ray.base.errors import ConfigError
from pad_ray.synthesis.settings import SynthesisRun
from pad_ray.tasks import ProblemCounts, get_task
from pad_ray.teachers.endpoint.requests import CHARS_A_TOKEN, prompt_chars, sample_body
from pad_ray.teachers.prompts import PROMPTS

__all__ = ["announce_paid"]

_LOOKED_AT = 50
_SUGGESTED = 16


def announce_paid(run: SynthesisRun, problems: int | None) -> None:
    """Print what a calibration on so many problems asks for; refuse where none are allowed."""
    if problems is None:
        cost = _most_asked(run, _SUGGESTED)
        raise ConfigError(
            f"calibration_problems: teacher '{run.teacher}' may cost money: give how many problems "
            f"may be asked; {_SUGGESTED} are {cost}"
        )
    cost = _most_asked(run, problems)
    print(f"plan: the calibration of {run.task} asks {problems} problems: {cost}")


def _most_asked(run: SynthesisRun, problems: int) -> str:
    """Describe the requests, tokens and dollars, of which there will not be more."""
    endpoint = run.endpoint
    assert endpoint is not None
    samples = problems * (run.max_samples or run.samples)
    prompt = samples * _prompt_tokens(run)
    completion = samples * endpoint.max_tokens
    costs = [address.cost_usd(round(prompt), completion) for address in endpoint.addresses]
    known = [cost for cost in costs if cost is not None]
    price = f"at most ${max(known):,.4f}" if known else "at a price that the job does not name"
    return (
        f"{samples:,} samples, about {prompt:,.0f} prompt tokens and at most {completion:,} "
        f"completion tokens, {price}"
    )


def _prompt_tokens(run: SynthesisRun) -> float:
    assert run.endpoint is not None
    task = get_task(run.task)
    first = islice(run.stream(task, ProblemCounts()), _LOOKED_AT)
    bodies = (
        sample_body(run.endpoint, task.exemplars, run.seed, one, 0, prompt=PROMPTS[run.format])
        for one in first
    )
    return fmean(prompt_chars(body) for body in bodies) / CHARS_A_TOKEN
