"""How a question is searched for an answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pad_ray.base.config import Settings
from pad_ray.base.errors import ConfigError

StrategyName = Literal[
    "greedy", "beam", "stepwise", "diverse", "vote", "repair", "hierarchical", "auto"
]
# Those that need a model of their own, those that read a program, and what runs it.
MODELLED = ("alignment", "value")
READERS = (*MODELLED, "grounding")
SCORERS = (*READERS, "execution")
# What needs nothing but a text that states its answer.
TEXT_STRATEGIES: tuple[StrategyName, ...] = ("greedy", "beam", "vote", "auto")


class Weights(Settings):
    """Exponents of the weighted product that ranks programs; 0 leaves a source out.

    The product is over the mean probability of a token, the mean alignment of a step, the
    verifier's value of the program so far, and the penalties that grounding and execution gave.
    """

    logprob: float = Field(1.0, ge=0)
    """Of the student's own probability, the geometric mean over tokens."""
    alignment: float = Field(0.0, ge=0)
    """Of the semantic alignment of steps with the question, the geometric mean over steps."""
    value: float = Field(0.0, ge=0)
    """Of the learned verifier's probability that the answer will be right."""
    grounding: float = Field(0.0, ge=0)
    """Of the penalties for numbers and names that are not the question's, and for those unused."""
    execution: float = Field(1.0, ge=0)
    """Of the penalties of the program so far; what raises is cut whatever the weight above 0."""

    def for_texts(self) -> Weights:
        """Return the same without those that judge programs alone."""
        return self.model_copy(update=dict.fromkeys(READERS, 0.0))

    def scorers(self) -> tuple[str, ...]:
        """Return the scorers that are asked."""
        return tuple(name for name in SCORERS if getattr(self, name) > 0)


class Scaling(Settings):
    """How log-odds become a probability: sigmoid(`scale` * log-odds + `shift`) (Platt, 1999)."""

    scale: float = Field(1.0, gt=0)
    """1 leaves them as they are."""
    shift: float = 0.0
    """Above 0 the answer is right more often than is said of it."""


class Calibration(Settings):
    """What auto's two signs of a right answer are worth; fitted by `tune_decoding`."""

    alone: Scaling = Scaling()
    """Of the greedy program: what the sources say of it."""
    agreed: Scaling = Scaling()
    """Of the answer that leads: its share of the votes."""


class SearchSettings(Settings):
    """A decoding strategy and its size."""

    strategy: StrategyName = "greedy"
    """greedy; beam (token level); stepwise (beam over verified steps); diverse (independent
    subtrees); vote (sample, execute, majority); repair; hierarchical (sub-questions, each with a
    program); auto (more work where it is unsure)."""
    width: int = Field(4, ge=1, le=64)
    """Hypotheses kept (beam, stepwise), or subtrees (diverse)."""
    proposals: int = Field(4, ge=1, le=64)
    """Steps proposed for each hypothesis (stepwise, diverse)."""
    proposal: Literal["beam", "sample"] = "beam"
    """Propose the likeliest steps, or sampled ones."""
    margin: float = Field(4.0, gt=0)
    """Nats by which a proposed step may be less likely than the likeliest (proposal beam)."""
    interval: int = Field(1, ge=1, le=16)
    """Statements between two verifications (stepwise, diverse)."""
    n: int = Field(16, ge=1, le=256)
    """Programs sampled (vote), the most that auto samples, or the most repairs."""
    temperature: float = Field(0.7, gt=0, le=5)
    """Of sampling; below 1 the likeliest tokens are drawn more often. None is drawn but the 64
    likeliest."""
    confidence: float = Field(0.9, ge=0, le=1)
    """Where auto stops: the probability of being right that the best answer must have."""
    calibration: Calibration = Calibration()
    """How auto tells that probability."""
    weights: Weights = Weights()
    """What programs are ranked by."""
    forbid_negative: bool = False
    """Penalise a step that gives a negative number, where quantities are counts."""
    max_new_tokens: int = Field(512, ge=1)
    """Longest program, in tokens."""
    longest_step: int = Field(160, ge=1)
    """Longest step, in tokens."""
    budget_tokens: int | None = Field(None, ge=1)
    """Tokens that a question may cost; then the best that is finished, or what there is without an
    answer, is returned, marked truncated."""
    budget_s: float | None = Field(None, gt=0)
    """Seconds that a question may take from when its search begins; then as for tokens."""
    search_seed: int = 0
    """Of all sampling, with the question's own text."""

    @property
    def rows_at_work(self) -> int:
        """The rows of the engine that the strategy can be expected to use at a time."""
        # Most proposals of a beam fall out of its margin at once.
        proposals = min(self.proposals, 2) if self.proposal == "beam" else self.proposals
        by_strategy = {
            "beam": self.width,
            "stepwise": self.width * proposals,
            "diverse": self.width * proposals,
            "vote": self.n,
            "auto": self.n // 2 + 1,
        }
        return by_strategy.get(self.strategy, 1)


def check_text_search(settings: SearchSettings) -> None:
    """Raise `ConfigError` for a search that works on programs; asked for a student of texts."""
    if settings.strategy not in TEXT_STRATEGIES:
        raise ConfigError(
            f"strategy: '{settings.strategy}' works on programs, and this student writes text; "
            f"use one of {', '.join(TEXT_STRATEGIES)}"
        )
    for name in READERS:
        if getattr(settings.weights, name) > 0:
            raise ConfigError(
                f"weights.{name}: judges programs, and this student writes text; leave it 0"
            )


def search_settings(settings: SearchSettings) -> SearchSettings:
    """Return the search part of a job's settings, which inherit from it."""
    return SearchSettings(**{name: getattr(settings, name) for name in SearchSettings.model_fields})
