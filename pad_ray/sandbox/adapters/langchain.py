"""For LangChain: a tool that runs Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pad_ray.sandbox.adapters.session import Session, describe
from pad_ray.sandbox.executor import Sandbox

if TYPE_CHECKING:
    from langchain_core.tools import StructuredTool

_DESCRIPTION = (
    "Runs Python code and returns what it prints, and the value of its last line if that is an "
    "expression. Each call starts afresh: import and define all that the code needs. There are no "
    "files and no network."
)


def python_tool(
    sandbox: Sandbox, name: str = "python", description: str = _DESCRIPTION
) -> StructuredTool:
    """Return a tool that takes `code`; threads and conversations may share it.

    A program that fails is a message to the model with the status `error`.
    """
    from langchain_core.tools import StructuredTool, ToolException

    def run(code: str) -> str:
        outcome = Session(sandbox).run(code).outcome
        shown = [outcome.stdout.rstrip("\n")] if outcome.stdout else []
        if outcome.status != "ok":
            raise ToolException("\n".join([*shown, describe(outcome)]))
        if outcome.value is not None:
            shown.append(str(outcome.value))
        return "\n".join(shown)

    return StructuredTool.from_function(
        run, name=name, description=description, handle_tool_error=True
    )
