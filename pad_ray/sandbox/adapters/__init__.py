"""What other libraries plug in to have their programs run in a sandbox.

Each is tested with the library named, but where it says otherwise.

- `Runtime`: the interface of PAL's `GenericRuntime`, as Qwen-Agent's copy of it calls it.
- `PythonInterpreter`: texts in, answers out, many at once; of no other project.
- smolagents: `SmolagentsExecutor`, the `executor` of a CodeAgent.
- LangChain (`langchain-core`): `python_tool`.
- TRL and verl: `ProgramReward`.

The libraries themselves are imported when they are first needed. The sandbox stays its owner's to
close.
"""

from pad_ray.sandbox.adapters.langchain import python_tool
from pad_ray.sandbox.adapters.pal import PythonInterpreter, Runtime
from pad_ray.sandbox.adapters.rewards import ProgramReward
from pad_ray.sandbox.adapters.session import ProgramFailed
from pad_ray.sandbox.adapters.smolagents import SmolagentsExecutor

__all__ = [
    "ProgramFailed",
    "ProgramReward",
    "PythonInterpreter",
    "Runtime",
    "SmolagentsExecutor",
    "python_tool",
]
