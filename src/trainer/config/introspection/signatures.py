"""Signatures of classes and functions with argument descriptions, read from the source without importing it.

`signature("torch.optim.Adam")` parses `torch/optim/adam.py` and the files of the required base classes and aliases.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import griffe

from trainer.config.introspection.docstrings import get_argument_docs, get_inherited_docs, get_summary
from trainer.config.introspection.source_lookup import find_method, iter_class_hierarchy, list_public_names, locate
from trainer.config.introspection.type_schema import expand_aliases
from trainer.core.errors import UserError, did_you_mean

ParameterKind = Literal["positional-only", "positional or keyword", "keyword-only"]


@dataclass(frozen=True)
class Parameter:
    """Named argument of a class or function.

    Args:
        name: Name.
        annotation: Type as Python text with aliases expanded: `"Literal['relu', 'tanh']"`; "" without annotation.
        default: Default as Python text; None if there is none.
        kind: Kind of argument, in Python's terms.
        module: Dotted path of the module that defines it; a base class may be in another one.
        doc: Description from the docstring. Defaults to none.
    """

    name: str
    annotation: str
    default: str | None
    kind: ParameterKind
    module: str
    doc: str = ""

    @property
    def required(self) -> bool:
        """True if a call must set it."""
        return self.default is None


@dataclass(frozen=True)
class Signature:
    """Arguments of a class or function.

    Args:
        target: Dotted path that was requested.
        parameters: Parameters in order, including those that `**kwargs` passes to a base class.
        accepts_kwargs: Whether other names are accepted, or may be as far as the source shows.
        summary: First paragraph of the docstring.
        file: File of the definition.
        line: Line of the definition, from 1.
    """

    target: str
    parameters: tuple[Parameter, ...]
    accepts_kwargs: bool
    summary: str
    file: Path
    line: int

    def __getitem__(self, name: str) -> Parameter:
        return next(parameter for parameter in self.parameters if parameter.name == name)

    def __contains__(self, name: str) -> bool:
        return any(parameter.name == name for parameter in self.parameters)


def signature(target: str) -> Signature:
    """Return the signature of a dotted path.

    Raises:
        UserError: No Python file defines it; the message suggests similar names in the same module.
    """
    member = locate(target)
    if not isinstance(member, griffe.Class | griffe.Function):
        raise UserError(f"'{target}' is no class or function in a Python file{_suggest_name(target)}")
    return _build_signature(target, member)


@cache
def _build_signature(target: str, member: griffe.Class | griffe.Function) -> Signature:
    if isinstance(member, griffe.Function):
        parameters, accepts_kwargs = _read_function_parameters(member)
        docs = get_argument_docs(member)
    else:
        parameters, accepts_kwargs = _read_class_parameters(iter_class_hierarchy(member))
        docs = get_inherited_docs(member, [parameter.name for parameter in parameters])
    documented = tuple(replace(parameter, doc=docs.get(parameter.name, "")) for parameter in parameters)
    file = member.module.filepath
    assert isinstance(file, Path)
    return Signature(target, documented, accepts_kwargs, get_summary(member), file, member.lineno or 1)


def _suggest_name(target: str) -> str:
    module, _, name = target.rpartition(".")
    names = list_public_names(module)
    return did_you_mean(name, names) if names else f"; there is no module '{module or name}'"


def _read_function_parameters(function: griffe.Function) -> tuple[list[Parameter], bool]:
    named = [item for item in function.parameters if not str(item.kind.value).startswith("variadic")]
    if isinstance(function.parent, griffe.Class) and "staticmethod" not in function.labels:
        named = named[1:]  # self
    accepts_kwargs = any(item.kind is griffe.ParameterKind.var_keyword for item in function.parameters)
    parameters = [_build_parameter(i.name, i.annotation, i.default, i.kind, function.module) for i in named]
    return parameters, accepts_kwargs


def _build_parameter(
    name: str,
    annotation: str | griffe.Expr | None,
    default: str | griffe.Expr | None,
    kind: griffe.ParameterKind | None,
    module: griffe.Module,
) -> Parameter:
    kind_name: ParameterKind = "positional or keyword"
    if kind in (griffe.ParameterKind.positional_only, griffe.ParameterKind.keyword_only):
        kind_name = "positional-only" if kind is griffe.ParameterKind.positional_only else "keyword-only"
    text = "" if annotation is None else expand_aliases(str(annotation), module)
    return Parameter(name, text, None if default is None else str(default), kind_name, module.path)


def _read_class_parameters(classes: Iterator[griffe.Class | None]) -> tuple[list[Parameter], bool]:
    """Return the parameters of the nearest constructor and of those that it passes `**kwargs` to."""
    parameters: dict[str, Parameter] = {}
    for cls in classes:
        if cls is None:  # a base class that is not written in Python
            return [*parameters.values()], True
        constructor = cls.members.get("__init__")
        if isinstance(constructor, griffe.Function):
            constructor_parameters, accepts_kwargs = _read_function_parameters(constructor)
            parameters = {parameter.name: parameter for parameter in constructor_parameters} | parameters
            super_arguments = _find_super_arguments(cls) if accepts_kwargs else None
            if super_arguments:
                inherited, accepts_kwargs = _read_class_parameters(classes)  # the remaining classes
                # arguments that this constructor passes to the next one cannot be set by the caller
                fixed = {item.name for item in inherited[: super_arguments[0]]} | super_arguments[1] | parameters.keys()
                parameters |= {parameter.name: parameter for parameter in inherited if parameter.name not in fixed}
            return [*parameters.values()], accepts_kwargs
        if "dataclass" in cls.labels:
            parameters = {field.name: field for field in _read_dataclass_parameters(cls)} | parameters
    return [*parameters.values()], False


def _find_super_arguments(cls: griffe.Class) -> tuple[int, set[str]] | None:
    """Return the number of positional arguments and the keywords in a call `super().__init__(..., **kwargs)`."""
    body = find_method(cls, "__init__")
    for node in ast.walk(body) if body else ():
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__":
            names = {keyword.arg for keyword in node.keywords if keyword.arg}
            if any(keyword.arg is None for keyword in node.keywords):
                return len([arg for arg in node.args if not isinstance(arg, ast.Starred)]), names
    return None


def _read_dataclass_parameters(cls: griffe.Class) -> list[Parameter]:
    fields = []
    for name, field in cls.attributes.items():
        if field.annotation is None or "instance-attribute" not in field.labels:  # a ClassVar, a property
            continue
        default = None if field.value is None else str(field.value)
        if default and default.startswith("field("):
            call = ast.parse(default, mode="eval").body
            assert isinstance(call, ast.Call)
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            if options.get("init") == "False":
                continue
            factory = options.get("default_factory")
            default = options.get("default", f"{factory}()" if factory else None)
        fields.append(_build_parameter(name, field.annotation, default, None, cls.module))
    return fields
