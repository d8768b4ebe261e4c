"""What docstrings say of a class or function, and of each of its arguments."""

import ast
import inspect
import re
from collections.abc import Iterable

import griffe

from trainer.config.introspection.source_lookup import absolute, lineage, locate, syntax

Docs = dict[str, str]  # what is said of an argument, by its name


def summary_of(thing: griffe.Object) -> str:
    """The first paragraph of the docstring; of a class without one, that of its constructor."""
    text = text_of(thing) or (text_of(thing.members["__init__"]) if "__init__" in thing.members else "")
    return _in_one_line(text)


def docs_of(thing: griffe.Object) -> Docs:
    """What a class (with its constructor) or a function says of its arguments, in Google's form."""
    docs: Docs = {}
    for each in (thing, thing.members.get("__init__")):
        if isinstance(each, griffe.Object):
            docs |= _arguments(text_of(each))
    return {name: _followed(name, text, thing.module) for name, text in docs.items()}


def inherited_docs(cls: griffe.Class, names: Iterable[str]) -> Docs:
    """What the nearest class in a lineage says of each of some arguments, beyond pointing elsewhere."""
    docs: Docs = {}
    missing = {*names}
    for each in lineage(cls):
        said = docs_of(each) if each else {}
        docs |= {name: said[name] for name in missing & said.keys()}
        missing -= {name for name, text in said.items() if not _points(text)}
        if each and _takes_no_more(each):  # arguments without a word do not come from above
            missing = {name for name in missing if _points(docs.get(name, ""))}
        if not missing:
            break
    return docs


def _points(text: str) -> bool:
    return text.startswith("See `")


def _takes_no_more(cls: griffe.Class) -> bool:
    constructor = cls.members.get("__init__")
    if not isinstance(constructor, griffe.Function):
        return False
    return all(each.kind is not griffe.ParameterKind.var_keyword for each in constructor.parameters)


def text_of(thing: griffe.Object | griffe.Alias) -> str:
    """The docstring, or what the module assigns to `__doc__` of it afterwards, as PyTorch's optimizers have it."""
    if thing.docstring:
        return thing.docstring.value
    for node in syntax(thing.module) if isinstance(thing, griffe.Class | griffe.Function) else ():
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == f"{thing.name}.__doc__":
            return inspect.cleandoc(_string(node.value, thing.module))
    return ""


def _string(node: ast.expr, module: griffe.Module) -> str:
    """The text that an expression of strings amounts to; what cannot be told without running it is left out."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _string(left, module) + _string(right, module)
        case ast.JoinedStr(values=values):
            return "".join(_string(value, module) for value in values)
        case ast.FormattedValue(value=ast.Name(id=name)):
            constant = locate(absolute(name, module))
            if isinstance(constant, griffe.Attribute) and constant.value is not None:
                return _string(ast.parse(str(constant.value), mode="eval").body, constant.module)
    return ""


def _arguments(text: str) -> Docs:
    docs: Docs = {}
    for section in griffe.Docstring(text).parse("google", warnings=False) if text else ():
        if isinstance(section, griffe.DocstringSectionParameters):
            for argument in section.value:
                for name in argument.name.split(","):  # `batch_size, eval_batch_size, seed: See ...`
                    docs[name.strip().lstrip("*")] = _in_one_line(argument.description)
    return docs


def _followed(name: str, text: str, module: griffe.Module) -> str:
    """Instead of "See `TensorData`." what is said there of the argument."""
    pointer = re.fullmatch(r"See `([\w.]+)`[.;,]?\s*(.*)", text)
    there = locate(absolute(pointer[1], module)) if pointer else None
    said = docs_of(there).get(name, "") if there else ""
    return f"{said} {pointer[2]}".strip() if pointer and said else text


def _in_one_line(text: str) -> str:
    """The first paragraph, without the marks of Sphinx and without an example that it leads to."""
    text = re.split(r"\n\s*\n|\.\. \w+::", text.strip())[0]
    text = re.sub(r"\s*Examples?::$", "", text).replace("``", "`")
    text = re.sub(
        r"(?::\w+:)?`~?([^`<]+?)\s*(?:<[^`]*>)?`_*", r"`\1`", text
    )  # Sphinx's :class:`~torch.Tensor`, `a link`_
    return " ".join(text.split())
