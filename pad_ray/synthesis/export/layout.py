"""How a dataset's rows are laid out for a trainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pad_ray.synthesis.export.settings import ExportFormat, ExportSettings, Written


@dataclass(frozen=True)
class Layout:
    """How a row is laid out for a trainer; `system` and `instruction` may be empty."""

    written: Written
    format: ExportFormat
    fenced: bool
    instruction: str
    system: str

    @property
    def schema(self) -> pa.Schema:
        """Columns of an example."""
        text = pa.string()
        match self.format:
            case "messages":
                columns = [("messages", _MESSAGES)]
            case "prompt_completion":
                columns = [("prompt", _MESSAGES), ("completion", _MESSAGES)]
            case "alpaca":
                columns = [("instruction", text), ("input", text), ("output", text)]
                columns += [("system", text)] if self.system else []
        return pa.schema([*columns, ("problem_id", text)])

    def example(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row as an example of `schema`."""
        question, answer = row["question"].strip(), row[self.written].strip()
        if self.fenced and self.written == "program":
            answer = f"```python\n{answer}\n```"
        key = {"problem_id": row["problem_id"]}
        if self.format == "alpaca":
            asked = [self.instruction, question] if self.instruction else [question, ""]
            example = dict(zip(("instruction", "input"), asked, strict=True)) | {"output": answer}
            return example | ({"system": self.system} if self.system else {}) | key
        parts = [self.instruction, question] if self.instruction else [question]
        prompt = [_message("system", self.system)] if self.system else []
        prompt.append(_message("user", "\n\n".join(parts)))
        completion = [_message("assistant", answer)]
        if self.format == "messages":
            return {"messages": prompt + completion} | key
        return {"prompt": prompt, "completion": completion} | key


_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def layout_of(settings: ExportSettings, written: Written) -> Layout:
    """Return how rows are laid out of which `written` is learned."""
    asked = _INSTRUCTIONS[written] if settings.instruction is None else settings.instruction
    return Layout(written, settings.format, settings.fenced, asked.strip(), settings.system.strip())


_INSTRUCTIONS: dict[Written, str] = {
    "program": "Write a Python function solution() that returns the answer.",
    "chain_of_thought": 'Reason step by step, and end with "The answer is X."',
}
