"""Job settings: a frozen pydantic model a job, filled from YAML and dotted flags over it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Generic, TypeVar, get_args, get_origin

import yaml
from jsonargparse import ArgumentError, ArgumentParser, DefaultHelpFormatter
from pydantic import BaseModel, ConfigDict, ValidationError

from pad_ray.base import errors
from pad_ray.base.errors import ConfigError, PadError
from pad_ray.base.fields import inputs_of, saved_values
from pad_ray.base.storage import is_on_hub, is_remote, locate, url_of


class Settings(BaseModel):
    """Base of every settings model: frozen, unknown fields refused, docstrings are the help."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def row_settings(self) -> dict[str, Any]:
        """Return, JSON-ready, the settings that decide which rows a stage makes.

        See `pad_ray.base.fields`: the marks `Runtime` and `Input` say which others do not.
        """
        return saved_values(type(self), self.model_dump(mode="json"))

    def inputs(self) -> dict[str, str]:
        """Return the fingerprints of what else decides them, by name."""
        return inputs_of(self)


S = TypeVar("S", bound=Settings)


def validate(model: type[S], values: dict[str, Any]) -> S:
    """Build settings, or raise one `ConfigError` that names every field at fault."""
    try:
        return model(**values)
    except ValidationError as error:
        raise ConfigError(_describe(error)) from error


def validate_with(model: type[S], run: Settings, **values: Any) -> S:
    """Build settings from those of another model, with some fields added or changed."""
    return validate(model, {**run.model_dump(), **values})


def _describe(error: ValidationError) -> str:
    faults = []
    for fault in error.errors():
        field = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{field}: {message}" if field else message)
    return "; ".join(faults)


def parse_settings(
    model: type[S],
    arguments: Sequence[str] | None,
    program: str,
    positional: str | None = None,
    rest: str | None = None,
) -> S:
    """Parse `--config FILE.yaml` and flags over it into settings.

    `positional` names one text field that is given without a flag, `rest` a list of texts that
    takes all arguments, `--config` among them, which are no fields of the model.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    others: list[str] = []
    if rest is not None:
        given, others = _partition(given, {*model.model_fields, "help"} - {rest})
    parser = _Parser(
        prog=program, description=model.__doc__, exit_on_error=False, formatter_class=_Help
    )
    if rest is None:
        parser.add_argument("--config", action="config", help="YAML file; flags override it.")
    if positional is not None:
        described = model.model_fields[positional].description
        parser.add_argument(positional, type=str, help=described)
    parser.add_class_arguments(model, skip={name for name in (positional, rest) if name})
    try:
        parsed = parser.parse_args(_gathered(given, model))
    except ArgumentError as error:
        said = _one_line(str(error))
        if positional is not None and said.startswith("unrecognized arguments: "):
            said += f"; a {positional} of several words needs quotes"
        raise ConfigError(said) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"config: is not UTF-8 text: {error.reason}") from error
    # The path of a file that filled a nested setting is no setting itself.
    values = parsed.clone(with_meta=False).as_dict()
    values.pop("config", None)
    return validate(model, values if rest is None else values | {rest: others})


class _Parser(ArgumentParser):
    """Prints settings inside lists and tables too (`--print_config`)."""

    def dump(self, cfg: Any, *arguments: Any, **named: Any) -> str:
        plain = cfg.clone()
        for name, value in cfg.items():
            plain[name] = _plain(value)
        return str(super().dump(plain, *arguments, **named))


class _Help(DefaultHelpFormatter):
    """Says types without what is annotated: bounds, which errors tell, and marks."""

    def _get_type_str(self, action: Any) -> str | None:
        said = super()._get_type_str(action)
        while said is not None and (bare := _bare(said)) != said:
            said = bare
        return said


def _bare(said: str) -> str:
    """Return a type's text with its last `Annotated[T, ...]`, in which there is no other, as T."""
    before, found, after = said.rpartition("Annotated[")
    if not found:
        return said
    depth, commas = 1, list[int]()
    for end, letter in enumerate(after):
        depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(letter, 0)
        if depth == 1 and letter == ",":
            commas.append(end)
        if not depth:
            return before + after[: commas[0]] + after[end + 1 :]
    return said


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value


def _partition(arguments: Sequence[str], own: set[str]) -> tuple[list[str], list[str]]:
    """Part the leading positional and the flags named in `own` from all other arguments."""
    parts: tuple[list[str], list[str]] = ([], [])
    side = 0
    for argument in arguments:
        if argument.startswith("--"):
            side = 0 if re.split(r"[.=]", argument[2:])[0] in own else 1
        parts[side].append(argument)
    return parts


def _gathered(arguments: Sequence[str], model: type[Settings]) -> list[str]:
    """Join what is given for a list of names by several flags: of those the last would count."""
    lists = {f"--{n}" for n, f in model.model_fields.items() if _takes_names(f.annotation)}
    found: dict[str, list[str]] = {}
    others: list[str] = []
    left = iter(arguments)
    for argument in left:
        name, has_value, value = argument.partition("=")
        if name not in lists:
            others.append(argument)
            continue
        given = value if has_value else next(left, None)
        if given is None:
            others.append(argument)  # the parser says that it lacks a value
        else:
            found.setdefault(name, []).append(given)
    for name, values in found.items():
        joined = [one for value in values for one in _names(value)]
        others.append(f"{name}={values[0] if len(values) == 1 else json.dumps(joined)}")
    return others


def _names(value: str) -> list[str]:
    """Return the names of a flag's value, which may be a list itself."""
    try:
        listed = yaml.safe_load(value) if value.startswith("[") else None
    except yaml.YAMLError:
        listed = None
    return [str(name) for name in listed] if isinstance(listed, list) else [value]


def _takes_names(annotation: Any) -> bool:
    """Tell whether a field takes a list of texts or paths."""
    if get_origin(annotation) is list:
        return get_args(annotation)[0] in (str, Path)
    return any(map(_takes_names, get_args(annotation)))


def _one_line(text: str) -> str:
    """Fold jsonargparse's message with pydantic's inside into one line."""
    union = re.search(r'key "?([\w.]+)"?:\s+Does not validate .* value: (.*)', text, re.DOTALL)
    if union:
        return f"{union[1]}: {union[2].strip()!r} is not valid here; see --help"
    text = re.sub(
        r"Expected an? typing\.Literal\[(.*?)\]\. Got value: (.*)",
        lambda found: f"'{found[2]}' is not one of {found[1].replace(chr(39), '')}",
        text,
    )
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
        # Ray's own class for an error of a task is a kind of that error too, with a longer text.
        if isinstance(current, PadError) and not isinstance(
            getattr(current, "cause", None), PadError
        ):
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
    home = re.escape(errors.__name__)
    quoted = re.findall(rf"^{home}\.(\w+): (.*)$", text, re.MULTILINE)
    if not quoted:
        return None
    name, message = quoted[-1]
    kind = getattr(errors, name, PadError)
    return kind(message) if issubclass(kind, PadError) else None


@dataclass(frozen=True)
class Job(Generic[S]):
    """A job's entry point: settings in, one call, exit status out (2 for a user's mistake).

    `run` is the call, or its name as "module:function": what it needs takes seconds to import, for
    which neither `--help` nor a mistake in the settings should wait.

    `positional` names a text field that is given without a flag, `rest` one that takes the
    arguments which are no settings of this job.
    """

    name: str
    model: type[S]
    run: str | Callable[[S], object]
    positional: str | None = None
    rest: str | None = None

    def parse(self, arguments: Sequence[str] | None = None) -> S:
        """Return the settings of a command line; None: this process's."""
        return parse_settings(self.model, arguments, self.name, self.positional, self.rest)

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """Run the job as a process's only work."""
        try:
            settings = self.parse(arguments)
            _refuse_lost_output(settings)
            run = resolve_name(self.run) if isinstance(self.run, str) else self.run
            run(settings)
        except KeyboardInterrupt:
            print("interrupted; the same command goes on from here", file=sys.stderr)
            raise SystemExit(130) from None
        except Exception as error:
            mistake = root_cause(error)
            if mistake is None:
                raise
            print(f"{self.name}: error: {mistake}", file=sys.stderr)
            raise SystemExit(2) from None


# Where Ray unpacks the working directory of a submitted job, and deletes it after the job.
_UNPACKED = ("runtime_resources", "working_dir_files")


def _refuse_lost_output(settings: Settings) -> None:
    """Raise `ConfigError` for an output that Ray would delete together with the job's folder."""
    out = getattr(settings, "out", None)
    if isinstance(out, Path) and is_on_hub(out):
        raise ConfigError(
            f"out: {url_of(out)}: the Hub is read, not written; pad-ray export --push_to_hub "
            "uploads a dataset"
        )
    if not isinstance(out, Path) or is_remote(out):
        return
    parts = locate(out).parts
    if _UNPACKED in pairwise(parts):
        raise ConfigError(
            f"out: {out} would be deleted with the job's folder, in which Ray runs it; give an "
            "absolute path that every node sees"
        )


def read_fields(path: Path, field: str) -> dict[str, Any]:
    """Read a YAML file of names and values; `ConfigError` names field, file and fault."""
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{field}: {path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{field}: {path}: is not YAML: {reason}") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"{field}: {path}: expected settings, name: value")
    return fields


def resolve(path: Path) -> Path:
    """Return an absolute local path: Ray workers have another working directory than the driver.

    Raises `ConfigError` for one in object storage: where a job takes those, it is `locate`d.
    """
    if is_remote(path):
        raise ConfigError(
            f"{url_of(path)}: object storage is not taken here; name a folder of all nodes"
        )
    return locate(path)


def resolve_all(paths: list[Path] | Path) -> list[Path]:
    """Return the absolute paths of a setting that takes one or a list of them."""
    return [resolve(path) for path in (paths if isinstance(paths, list) else [paths])]
