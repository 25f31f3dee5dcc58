"""Job settings: a frozen pydantic model a job, filled from YAML and dotted flags over it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings
from pydantic import BaseModel, ConfigDict, ValidationError

from pad_ray import errors
from pad_ray.errors import ConfigError, PadError


class Settings(BaseModel):
    """Base of every settings model: frozen, unknown fields refused, docstrings are the help."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    # Fields that say how a stage runs, not what rows it makes: changing them resumes the stage.
    runtime_fields: ClassVar[frozenset[str]] = frozenset({"out"})

    def row_settings(self) -> dict[str, Any]:
        """Return, JSON-ready, the settings that decide which rows a stage makes."""
        return self.model_dump(mode="json", exclude=set(self.runtime_fields))


S = TypeVar("S", bound=Settings)


def validate(model: type[S], values: dict[str, Any]) -> S:
    """Build settings, or raise one `ConfigError` that names every field at fault."""
    try:
        return model(**values)
    except ValidationError as error:
        raise ConfigError(_describe(error)) from error


def _describe(error: ValidationError) -> str:
    faults = []
    for fault in error.errors():
        field = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{field}: {message}" if field else message)
    return "; ".join(faults)


def parse_settings(
    model: type[S], arguments: Sequence[str] | None, program: str, positional: str | None = None
) -> S:
    """Parse `--config FILE.yaml` and flags over it into settings.

    `positional` names one text field that is given without a flag.
    """
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(prog=program, description=model.__doc__, exit_on_error=False)
    parser.add_argument("--config", action="config", help="YAML file; flags override it.")
    if positional is not None:
        described = model.model_fields[positional].description
        parser.add_argument(positional, type=str, help=described)
    parser.add_class_arguments(model, skip={positional} if positional else None)
    try:
        values = parser.parse_args(list(arguments) if arguments is not None else None).as_dict()
    except ArgumentError as error:
        raise ConfigError(_one_line(str(error))) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"config: is not UTF-8 text: {error.reason}") from error
    values.pop("config")
    return validate(model, values)


def _one_line(text: str) -> str:
    """Fold jsonargparse's message with pydantic's inside into one line."""
    union = re.search(r'key "?([\w.]+)"?:\s+Does not validate .* value: (.*)', text, re.DOTALL)
    if union:
        return f"{union[1]}: {union[2].strip()!r} is not valid here; see --help"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    kept = [
        re.sub(r" \[type=.*", "", line)
        for line in lines
        if "validation error" not in line and "errors.pydantic.dev" not in line
    ]
    return re.sub(r'^(Parser key "?([\w.]+)"?:)', r"\2:", " ".join(kept))


def root_cause(error: BaseException) -> PadError | None:
    """Return the user's mistake behind an error that Ray may have wrapped, or None for a bug."""
    queue: list[object] = [error]
    seen: set[int] = set()
    while queue:
        current = queue.pop(0)
        if isinstance(current, PadError):
            return current
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        # Ray's task errors carry `cause`, Ray Train's the failures of its workers.
        queue += [getattr(current, "cause", None), current.__cause__, current.__context__]
        queue += list(getattr(current, "worker_failures", {}).values())
    return _quoted_mistake(str(error))


def _quoted_mistake(text: str) -> PadError | None:
    """Find a `PadError` in the text of an error: Ray Data's workers hand on no more than that."""
    quoted = re.findall(r"^pad_ray\.errors\.(\w+): (.*)$", text, re.MULTILINE)
    if not quoted:
        return None
    name, message = quoted[-1]
    kind = getattr(errors, name, PadError)
    return kind(message) if issubclass(kind, PadError) else None


def run_job(
    model: type[S], job: Callable[[S], object], program: str, positional: str | None = None
) -> None:
    """Run a job's entry point: settings in, exit status out (2 for a user's mistake)."""
    try:
        job(parse_settings(model, None, program, positional))
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        mistake = root_cause(error)
        if mistake is None:
            raise
        print(f"{program}: error: {mistake}", file=sys.stderr)
        raise SystemExit(2) from None


def resolve(path: Path) -> Path:
    """Return an absolute path: Ray workers have another working directory than the driver."""
    return path.expanduser().resolve()
