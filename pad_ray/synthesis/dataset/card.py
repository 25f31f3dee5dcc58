"""The dataset card of a synthesis directory: README.md as the Hugging Face Hub reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCardData

from pad_ray.base.errors import ConfigError, reason_of
from pad_ray.base.pages import code_fence, page_template, yaml_text
from pad_ray.flow.stages import write_text
from pad_ray.synthesis.reasons import REASONS
from pad_ray.tasks import TASKS

__all__ = [
    "CARD",
    "COLUMNS",
    "KINDS",
    "DataFile",
    "card_data",
    "holds_texts",
    "licence_of",
    "write_card",
]

CARD = "README.md"
TAGS = ("program-aided-distillation", "synthetic", "reasoning", "math", "code", "pad-ray")

# What a dataset holds, by whether it is one of texts.
KINDS = {False: "programs", True: "chains of thought"}


def holds_texts(manifest: dict[str, Any]) -> bool:
    """Tell whether a dataset, made by synthesis or judged again, is of chains of thought."""
    return bool(manifest.get("format", manifest.get("config", {}).get("format")) == "cot")


# Of `JUDGED_SCHEMA`, in its order.
COLUMNS = {
    "row_id": "key of the row: `problem_id`, then `sample_index`; rows are sorted by it",
    "problem_id": "hash of task and question, equal for all samples of a problem",
    "task": "task that the problem comes from",
    "question": "the problem, as it was put to the teacher",
    "answer": "gold answer, as text",
    "template": "story that a generated problem was built from; null elsewhere",
    "own_id": "the problem file's own id of the problem; null where it has none",
    "extra": "the problem file's further columns of the problem, as a JSON object",
    "sample_index": "number of the sample among those of its problem, from 0",
    "teacher": "engine or model that wrote the sample",
    "completion": "the teacher's whole text",
    "chain_of_thought": "solution in words, where the teacher wrote one",
    "prompt_tokens": "tokens that the teacher read, where it counts them",
    "completion_tokens": "tokens that the teacher wrote, where it counts them",
    "cost_usd": "price of the sample in US dollars, where one is known",
    "solve_s": "seconds that the sample took to write, where they were measured",
    "retries": "further attempts that the request took, where they were counted",
    "finish_reason": "why the text ends: `stop`, or `length` where it was cut short; null where "
    "nobody says",
    "served_model": "model that the teacher's server says has answered",
    "teacher_notes": "counts that the teacher adds, as JSON",
    "program": "the Python program read out of the completion; it defines `solution()`; null in a "
    "dataset of chains of thought",
    "program_key": "equal for programs that differ in layout, comments and names of variables, and "
    "for chains of thought that differ in whitespace",
    "near_key": "equal for programs that differ in no calculation",
    "status": "how the program's run ended: `ok`, `error`, `timeout`, `memory`, `forbidden`, "
    "`crashed` or `invalid`",
    "value": "what `solution()` returned, or the answer that a chain of thought states, as JSON",
    "error_type": "class of the exception, or which limit was reached",
    "error_line": "line of the program in which it was raised, from 1",
    "message": "the interpreter's or the sandbox's message",
    "cpu_s": "seconds of CPU time of the run",
    "wall_s": "seconds of wall time of the run",
    "steps_checked": "calculations that the chain of thought states; null where there is none",
    "steps_wrong": "how many of those state a wrong result",
    "rounded_match": "whether value and answer are equal once both are rounded to integers",
    "pass_rate": "share of the problem's samples that are right, from 0 to 1",
    "reason": "why the row was rejected; null for a verified one",
}


@dataclass(frozen=True)
class Licence:
    """A licence as the Hub names it, and a sentence that says whose it is."""

    name: str
    statement: str


@dataclass(frozen=True)
class DataFile:
    """One split of a configuration: its files, as a pattern below the card's folder."""

    config: str
    split: str
    pattern: str


_LICENCES = {
    "gsm8k": Licence("mit", "The problems are GSM8K's (Cobbe et al. 2021), under the MIT licence."),
    "math": Licence(
        "mit", "The problems are MATH's (Hendrycks et al. 2021), under the MIT licence."
    ),
    "svamp": Licence("mit", "The problems are SVAMP's (Patel et al. 2021), under the MIT licence."),
    "asdiv": Licence(
        "cc-by-nc-4.0", "The problems are ASDiv's (Miao et al. 2020), under CC BY-NC 4.0."
    ),
    "multiarith": Licence(
        "other",
        "The problems are MultiArith's (Roy and Roth 2015): see what its authors state about use.",
    ),
    "gsm_hard": Licence(
        "other",
        "The problems are GSM-Hard's (Gao et al. 2022), made from GSM8K's: see what its authors "
        "state about use.",
    ),
    **dict.fromkeys(
        ("date_understanding", "penguins_in_a_table", "logical_deduction"),
        Licence(
            "apache-2.0",
            "The problems are BIG-bench's (Srivastava et al. 2022), under Apache-2.0.",
        ),
    ),
}
_GENERATED = Licence("apache-2.0", "The problems are generated by pad-ray, under Apache-2.0.")
_OWN = Licence("unknown", "The problems are the maker's own; pad-ray knows of no licence for them.")
_SIZES = {
    10**3: "1K",
    10**4: "10K",
    10**5: "100K",
    10**6: "1M",
    10**7: "10M",
    10**8: "100M",
    10**9: "1B",
}

# Counts of problems that a synthesis may leave out, and what they are.
_OPTIONAL = {
    "not_asked": "samples not asked for",
    "contaminated": "problems left out as near copies of a test problem",
}


def write_card(out: Path, manifest: dict[str, Any]) -> None:
    """Write README.md into a finished synthesis directory, from its manifest alone.

    `datasets.load_dataset(str(out))` then gives the configuration `verified`, and
    `load_dataset(str(out), "rejected")` the other where any row was rejected; each has the one
    split `train`. Raises `ConfigError` if the file cannot be written.
    """
    counts, config = manifest["counts"], manifest["config"]
    licence = licence_of(config["task"])
    # `datasets` loads no configuration without rows. `verified` is named all the same: where it has
    # none, nobody should get the rejected ones in their place.
    parts = ["verified", "rejected"] if counts["rejected"] else ["verified"]
    files = [DataFile(part, "train", f"{part}/*.parquet") for part in parts]
    what = KINDS[holds_texts(manifest)]
    title = f"{config['task']}: verified {what}"
    text = page_template("dataset_card.md.j2").render(
        front_matter=card_data([config["task"]], title, counts["rows"], files).to_yaml(),
        title=title,
        what=what,
        counts=counts,
        steps=counts.get("steps"),
        tokens=manifest["tokens"],
        cost_usd=manifest.get("cost_usd"),
        teacher=manifest["teacher"],
        simulated="simulated" in manifest["teacher"],
        optional={said: counts[name] for name, said in _OPTIONAL.items() if name in counts},
        reasons=REASONS,
        columns=COLUMNS,
        licence=licence.statement,
        config=yaml_text(config),
        fence=code_fence(yaml_text(config)),
        inputs=manifest["inputs"],
        versions=manifest["versions"],
        fingerprint=manifest["fingerprint"],
    )
    try:
        write_text(out / CARD, text)
    except OSError as error:
        raise ConfigError(f"out: cannot write {out / CARD}: {reason_of(error)}") from error


def card_data(
    tasks: Sequence[str], title: str, rows: int, files: Sequence[DataFile]
) -> DatasetCardData:
    """Return a card's front matter; the first configuration of `files` is the default one."""
    configs: dict[str, list[dict[str, str]]] = {}
    for file in files:
        entry = {"split": file.split, "path": file.pattern}
        configs.setdefault(file.config, []).append(entry)
    names = {licence_of(task).name for task in tasks}
    return DatasetCardData(
        language="en" if all(task in TASKS and task != "jsonl" for task in tasks) else None,
        license=names.pop() if len(names) == 1 else "other",
        pretty_name=title,
        size_categories=size_category(rows),
        task_categories=["text-generation", "question-answering"],
        tags=list(TAGS),
        configs=[
            {"config_name": name, "data_files": entries, **({"default": True} if not i else {})}
            for i, (name, entries) in enumerate(configs.items())
        ],
    )


def licence_of(task: str) -> Licence:
    """Return the licence of a task's problems; `unknown` for a user's own."""
    if task in _LICENCES:
        return _LICENCES[task]
    known = TASKS.get(task)
    return _OWN if known is None or known.generate is None else _GENERATED


def size_category(rows: int) -> str:
    """Return the Hub's name for a number of rows, such as 1K<n<10K."""
    below = "n"
    for bound, name in _SIZES.items():
        if rows < bound:
            return f"{below}<{name}" if below == "n" else f"{below}<n<{name}"
        below = name
    return f"n>{below}"
