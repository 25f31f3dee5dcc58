"""The Arrow schemas of the rows that flow."""

from __future__ import annotations

import pyarrow as pa

PROBLEM_SCHEMA = pa.schema(
    [
        ("problem_id", pa.string()),
        ("task", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("rationale", pa.string()),
        ("program", pa.string()),
        ("template", pa.string()),
        ("own_id", pa.string()),
        ("extra", pa.string()),
    ]
)


# A broken program, what came of it, and the right program in its place. `origin` is injection or
# failure, `kinds` the injected errors joined by "+", `broken_key` equal for equal broken programs;
# `reason` is null for a row to learn from.
REPAIR_SCHEMA = pa.schema(
    [
        ("row_id", pa.string()),
        ("problem_id", pa.string()),
        ("task", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("origin", pa.string()),
        ("kinds", pa.string()),
        ("broken", pa.string()),
        ("broken_key", pa.string()),
        ("status", pa.string()),
        ("value", pa.string()),
        ("error_type", pa.string()),
        ("error_line", pa.int32()),
        ("message", pa.string()),
        ("program", pa.string()),
        ("reason", pa.string()),
    ]
)


# `value` is JSON text; `reason` is null for a verified sample. `cost_usd` is null where no price is
# known. Equal `near_key`s mark programs that differ in no calculation; `pass_rate` is the share of
# the problem's samples that are right, known when a dataset is finished. `steps_checked` counts the
# calculations that the chain of thought states, null where there is none. `finish_reason` is "stop"
# or "length", null where the engine says nothing.
JUDGED_SCHEMA = pa.schema(
    [
        ("row_id", pa.string()),
        ("problem_id", pa.string()),
        ("task", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("template", pa.string()),
        ("own_id", pa.string()),
        ("extra", pa.string()),
        ("sample_index", pa.int32()),
        ("teacher", pa.string()),
        ("completion", pa.string()),
        ("chain_of_thought", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("cost_usd", pa.float64()),
        ("solve_s", pa.float64()),
        ("retries", pa.int32()),
        ("finish_reason", pa.string()),
        ("served_model", pa.string()),
        ("teacher_notes", pa.string()),
        ("program", pa.string()),
        ("program_key", pa.string()),
        ("near_key", pa.string()),
        ("status", pa.string()),
        ("value", pa.string()),
        ("error_type", pa.string()),
        ("error_line", pa.int32()),
        ("message", pa.string()),
        ("cpu_s", pa.float64()),
        ("wall_s", pa.float64()),
        ("steps_checked", pa.int32()),
        ("steps_wrong", pa.int32()),
        ("rounded_match", pa.bool_()),
        ("pass_rate", pa.float64()),
        ("reason", pa.string()),
    ]
)


# A problem made from a verified row, judged by its own answer: by which kind of augmentation, and
# the row, problem and question that it was made from.
AUGMENTED_SCHEMA = pa.schema(
    [
        *JUDGED_SCHEMA,
        ("kind", pa.string()),
        ("origin_row", pa.string()),
        ("origin_problem", pa.string()),
        ("origin_question", pa.string()),
    ]
)


# `block` names the rows that are done at once, `round` counts from 0.
REQUEST_SCHEMA = pa.schema(
    [
        ("row_id", pa.string()),
        *PROBLEM_SCHEMA,
        ("sample_index", pa.int32()),
        ("round", pa.int32()),
        ("block", pa.string()),
    ]
)


_ASKED_ONLY = {"program", "round", "block"}


# A request row with what a teacher or student wrote for it.
COMPLETED_SCHEMA = pa.schema(
    [
        *(field for field in REQUEST_SCHEMA if field.name not in _ASKED_ONLY),
        ("teacher", pa.string()),
        ("completion", pa.string()),
        ("chain_of_thought", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("cost_usd", pa.float64()),
        ("solve_s", pa.float64()),
        ("retries", pa.int32()),
        ("finish_reason", pa.string()),
        ("served_model", pa.string()),
        ("teacher_notes", pa.string()),
        ("error", pa.string()),
    ]
)
