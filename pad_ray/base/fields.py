"""What decides a stage's rows, told by marks in the annotations of its settings' fields.

A field without a mark decides them by its value, `Runtime` ones do not, and `Input` ones name what
counts by its content. Models in models, lists and tables of them are walked alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

__all__ = [
    "Difference",
    "Input",
    "Runtime",
    "differences",
    "input_values",
    "inputs_of",
    "mark_of",
    "model_in",
    "saved_values",
    "sparse",
]

Values: TypeAlias = Mapping[str, Any]


class _Runtime:
    def __repr__(self) -> str:
        return "Runtime"


Runtime: Final = _Runtime()
"""Marks a field that says how or where a stage runs, not what rows it makes."""


@dataclass(frozen=True, repr=False)
class Input:
    """Marks a field that names an input of a stage: what is in it counts, not what it is called.

    `read` takes a name for the input and the field's value, and returns fingerprints by name: the
    given one, or more that begin with it. The name is `name`, or the field's with those of the
    fields that it is in. With `is_saved` the value is written down with the settings.
    """

    read: Callable[[str, Any], dict[str, str]]
    name: str | None = None
    is_saved: bool = False

    def __repr__(self) -> str:  # in --help
        return "Input"


@dataclass(frozen=True)
class Difference:
    """A setting or an input that is not as it was: its dotted name, and both values."""

    key: str
    there: object
    now: object

    @property
    def is_more(self) -> bool:
        """Whether it is a number that is higher now."""
        numbers = isinstance(self.there, int | float) and isinstance(self.now, int | float)
        return numbers and self.now > self.there  # type: ignore[operator]

    def __str__(self) -> str:
        return f"{self.key} ({self.there!r} there, {self.now!r} now)"


def mark_of(field: FieldInfo) -> _Runtime | Input | None:
    """Return the mark in a field's annotation, if there is one."""
    marks = (mark for mark in field.metadata if isinstance(mark, _Runtime | Input))
    return next(marks, None)


def model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that an annotation is, or is an option, a list or a table of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(model_in, get_args(annotation))), None)


def _default(field: FieldInfo, name: str, usual: Values | None) -> Any:
    """Return a field's default as JSON; `usual` is that of the model which the field is in."""
    if usual is not None and name in usual:
        return usual[name]
    default = field.get_default(call_default_factory=True, validated_data={})
    return default if default is PydanticUndefined else to_jsonable_python(default)


def _each(value: Any, change: Callable[[Values], Any]) -> Any:
    """Change the models, as JSON, of a list or a table of them."""
    if isinstance(value, list):
        return [change(one) if isinstance(one, dict) else one for one in value]
    if isinstance(value, dict):
        return {k: change(one) if isinstance(one, dict) else one for k, one in value.items()}
    return value


def _is_one(field: FieldInfo, value: Any) -> bool:
    """Tell a model's own values from a table of models."""
    return isinstance(value, dict) and get_origin(field.annotation) is not dict


def saved_values(model: type[BaseModel], values: Values) -> dict[str, Any]:
    """Return what is written down of settings, as JSON: all but `Runtime` and unsaved inputs."""
    saved = {}
    for name, value in values.items():
        field = model.model_fields[name]
        mark = mark_of(field)
        if isinstance(mark, _Runtime) or (isinstance(mark, Input) and not mark.is_saved):
            continue
        inner = model_in(field.annotation)
        if inner is not None and _is_one(field, value):
            value = saved_values(inner, value)
        elif inner is not None:
            value = _each(value, partial(saved_values, inner))
        saved[name] = value
    return saved


def sparse(model: type[BaseModel], values: Values, usual: Values | None = None) -> dict[str, Any]:
    """Return the values that decide rows and are no defaults: what a fingerprint is taken of.

    A setting that did not exist when a directory was made had its default then.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        field = model.model_fields.get(name)
        if field is None:
            found[name] = value
        elif mark_of(field) is None:
            default = _default(field, name, usual)
            inner = model_in(field.annotation)
            if inner is not None and _is_one(field, value):
                is_usual = isinstance(default, dict)
                value = sparse(inner, value, default if is_usual else None)
                default = {} if is_usual else default
            elif inner is not None:
                value, default = (_each(one, partial(sparse, inner)) for one in (value, default))
            if value != default:
                found[name] = value
    return found


def _filled(model: type[BaseModel], values: Values, usual: Values | None = None) -> dict[str, Any]:
    """Return all values that decide rows, defaults where there are none."""
    found = {name: value for name, value in values.items() if name not in model.model_fields}
    for name, field in model.model_fields.items():
        if mark_of(field) is not None:
            continue
        default = _default(field, name, usual)
        value = values.get(name, default)
        inner = model_in(field.annotation)
        if inner is not None and _is_one(field, value):
            value = _filled(inner, value, default if isinstance(default, dict) else None)
        elif inner is not None:
            value = _each(value, partial(_filled, inner))
        found[name] = None if value is PydanticUndefined else value
    return found


def differences(model: type[BaseModel], there: Values, now: Values) -> list[Difference]:
    """Return in which settings that decide rows two saved ones differ, an older version's too."""
    return list(_differing("", _filled(model, there), _filled(model, now)))


def _differing(prefix: str, there: Values, now: Values) -> Iterator[Difference]:
    for name in sorted({*there, *now}):
        old, new = there.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differing(f"{prefix}{name}.", old, new)
        elif old != new:
            yield Difference(f"{prefix}{name}", old, new)


def inputs_of(settings: BaseModel, prefix: str = "") -> dict[str, str]:
    """Return the fingerprints of all inputs that settings name, by the inputs' names."""
    found: dict[str, str] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        mark = mark_of(field)
        if isinstance(mark, Input) and value is not None:
            found |= mark.read(mark.name or f"{prefix}{name}", value)
        elif isinstance(value, BaseModel) and mark is None:
            found |= inputs_of(value, f"{prefix}{name}.")
    return found


def input_values(model: type[BaseModel], values: Values, prefix: str = "") -> dict[str, Any]:
    """Return the values of inputs among saved settings, by the inputs' names."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        field = model.model_fields.get(name)
        if field is None:
            continue
        mark, inner = mark_of(field), model_in(field.annotation)
        if isinstance(mark, Input):
            found[mark.name or f"{prefix}{name}"] = value
        elif inner is not None and _is_one(field, value):
            found |= input_values(inner, value, f"{prefix}{name}.")
    return found
