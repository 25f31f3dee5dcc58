"""For smolagents: what runs a CodeAgent's code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pad_ray.sandbox.adapters.session import Ran, Session, assignments, describe
from pad_ray.sandbox.executor import Sandbox

# Raised, not returned: it ends the step.
_FINAL = """
def _ending(answered):
    def final_answer(*args, **kwargs):
        raise FinalAnswer(answered(*args, **kwargs))
    return final_answer
final_answer = _ending(final_answer)
del _ending
"""


class SmolagentsExecutor:
    """A `PythonExecutor`: `CodeAgent(tools=[], model=model, executor=SmolagentsExecutor(sandbox))`.

    One for each agent: its steps go on from each other, as `Session` says. Tools are run in the
    sandbox too, from their source, as by smolagents' remote executors: one that needs files or the
    network finds them forbidden. The agent's prompt names the modules that smolagents allows by
    itself; those of the sandbox besides (`ALLOWED_MODULES`) are its
    `additional_authorized_imports`.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._session = Session(sandbox)
        self._sent: dict[str, str] = {}
        # Where the agent looks for what a failed step has printed.
        self.state: dict[str, object] = {}

    def send_variables(self, variables: Mapping[str, object]) -> None:
        """Give the steps to come variables; TypeError for what is no plain value."""
        self._send("variables", assignments(variables))

    def send_tools(self, tools: Mapping[str, Any]) -> None:
        """Give the steps to come tools; ValueError for what has no source, as agents."""
        from smolagents.tools import Tool, get_tools_definition_code

        for name, tool in tools.items():
            if not isinstance(tool, Tool):
                raise ValueError(f"{name}: only tools run in the sandbox, no {type(tool).__name__}")
        code = get_tools_definition_code(dict(tools))
        self._send("tools", code + _FINAL if "final_answer" in tools else code)

    def __call__(self, code_action: str) -> Any:
        """Run one step and return its CodeOutput; raises InterpreterError where it fails."""
        from smolagents.local_python_executor import CodeOutput

        outcome, final = self._run(code_action)
        return CodeOutput(output=outcome.value, logs=outcome.stdout, is_final_answer=final)

    def _send(self, what: str, code: str) -> None:
        # An agent sends the same again with each of its runs.
        if code and self._sent.get(what) != code:
            self._run(code)
            self._sent[what] = code

    def _run(self, code: str) -> Ran:
        from smolagents.local_python_executor import InterpreterError

        ran = self._session.run(code)
        self.state["_print_outputs"] = ran.outcome.stdout
        if ran.outcome.status != "ok":
            raise InterpreterError(describe(ran.outcome))
        return ran
