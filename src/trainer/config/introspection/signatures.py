"""The signature of what a `_target_` names, and what its docstring says of each argument, without importing it.

`signature("torch.optim.Adam")` reads `torch/optim/adam.py`, and whatever file has a base class or an alias that the
answer needs; no code of it is run.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import griffe

from trainer.config.introspection.docstrings import docs_of, inherited_docs, summary_of
from trainer.config.introspection.source_lookup import body_of, lineage, locate, names_in
from trainer.config.introspection.type_schema import written_out
from trainer.core.errors import UserError, did_you_mean

Kind = Literal["positional-only", "positional or keyword", "keyword-only"]


@dataclass(frozen=True)
class Parameter:
    """An argument that can be given by its name.

    Args:
        name: As it is typed.
        annotation: Its type as Python text, aliases written out: `"Literal['relu', 'tanh']"`; "" where none is given.
        default: Python text; None where there is none.
        kind: Of argument, in Python's words.
        doc: What the docstring says of it.
    """

    name: str
    annotation: str
    default: str | None
    kind: Kind
    doc: str = ""

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return self.default is None


@dataclass(frozen=True)
class Signature:
    """What can be given to a class or a function.

    Args:
        target: The dotted path that was asked for.
        parameters: In order, those included that go on to a base class by `**more`.
        takes_any: Whether it takes names beside these, or may do so for all that its source tells.
        summary: First paragraph of the docstring.
        file: Where it is defined.
        line: The line there, from 1.
    """

    target: str
    parameters: tuple[Parameter, ...]
    takes_any: bool
    summary: str
    file: Path
    line: int

    def __getitem__(self, name: str) -> Parameter:
        return next(parameter for parameter in self.parameters if parameter.name == name)

    def __contains__(self, name: str) -> bool:
        return any(parameter.name == name for parameter in self.parameters)


def signature(target: str) -> Signature:
    """What a dotted path can be called with.

    Raises:
        UserError: Nothing of that name is written in Python; offers the nearest name in the same module.
    """
    found = locate(target)
    if not isinstance(found, griffe.Class | griffe.Function):
        raise UserError(f"'{target}' is no class or function in a Python file{_nearest(target)}")
    return _signature(target, found)


@cache
def _signature(target: str, found: griffe.Class | griffe.Function) -> Signature:
    if isinstance(found, griffe.Function):
        parameters, takes_any = _of_function(found)
        docs = docs_of(found)
    else:
        parameters, takes_any = _of_class(lineage(found))
        docs = inherited_docs(found, [parameter.name for parameter in parameters])
    told = tuple(replace(each, doc=docs.get(each.name, "")) for each in parameters)
    file = found.module.filepath
    assert isinstance(file, Path)
    return Signature(target, told, takes_any, summary_of(found), file, found.lineno or 1)


def _nearest(target: str) -> str:
    module, _, name = target.rpartition(".")
    inside = names_in(module)
    return did_you_mean(name, inside) if inside else f"; no module '{module or name}' is found"


def _of_function(function: griffe.Function) -> tuple[list[Parameter], bool]:
    given = [each for each in function.parameters if not str(each.kind.value).startswith("variadic")]
    if isinstance(function.parent, griffe.Class) and "staticmethod" not in function.labels:
        given = given[1:]  # self
    takes_any = any(each.kind is griffe.ParameterKind.var_keyword for each in function.parameters)
    return [
        _parameter(each.name, each.annotation, each.default, each.kind, function.module) for each in given
    ], takes_any


def _parameter(
    name: str,
    annotation: str | griffe.Expr | None,
    default: str | griffe.Expr | None,
    kind: griffe.ParameterKind | None,
    module: griffe.Module,
) -> Parameter:
    words: Kind = "positional or keyword"
    if kind in (griffe.ParameterKind.positional_only, griffe.ParameterKind.keyword_only):
        words = "positional-only" if kind is griffe.ParameterKind.positional_only else "keyword-only"
    text = "" if annotation is None else written_out(str(annotation), module)
    return Parameter(name, text, None if default is None else str(default), words)


def _of_class(classes: Iterator[griffe.Class | None]) -> tuple[list[Parameter], bool]:
    """The arguments of the nearest constructor, and of those above it that it hands arguments on to."""
    parameters: dict[str, Parameter] = {}
    for each in classes:
        if each is None:  # inherits from what is not written in Python
            return [*parameters.values()], True
        constructor = each.members.get("__init__")
        if isinstance(constructor, griffe.Function):
            own, takes_any = _of_function(constructor)
            parameters = {parameter.name: parameter for parameter in own} | parameters
            handed_on = _handed_on(each) if takes_any else None
            if handed_on:
                above, takes_any = _of_class(classes)  # the rest of them
                # what this constructor itself gives to the next one is not for the caller to give
                fixed = {parameter.name for parameter in above[: handed_on[0]]} | handed_on[1] | parameters.keys()
                parameters |= {parameter.name: parameter for parameter in above if parameter.name not in fixed}
            return [*parameters.values()], takes_any
        if "dataclass" in each.labels:
            parameters = {field.name: field for field in _fields(each)} | parameters
    return [*parameters.values()], False


def _handed_on(cls: griffe.Class) -> tuple[int, set[str]] | None:
    """For a constructor that calls `super().__init__(..., **more)`: how many arguments it gives, and which by name."""
    body = body_of(cls, "__init__")
    for node in ast.walk(body) if body else ():
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__":
            names = {keyword.arg for keyword in node.keywords if keyword.arg}
            if any(keyword.arg is None for keyword in node.keywords):
                return len([each for each in node.args if not isinstance(each, ast.Starred)]), names
    return None


def _fields(cls: griffe.Class) -> list[Parameter]:
    """The arguments that a dataclass makes of its fields."""
    fields = []
    for name, field in cls.attributes.items():
        if field.annotation is None or "instance-attribute" not in field.labels:  # a ClassVar, a property
            continue
        default = None if field.value is None else str(field.value)
        if default and default.startswith("field("):
            call = ast.parse(default, mode="eval").body
            assert isinstance(call, ast.Call)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            if given.get("init") == "False":
                continue
            factory = given.get("default_factory")
            default = given.get("default", f"{factory}()" if factory else None)
        fields.append(_parameter(name, field.annotation, default, None, cls.module))
    return fields
