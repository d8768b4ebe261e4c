"""Summaries and argument descriptions from docstrings."""

import ast
import inspect
import re
from collections.abc import Iterable

import griffe

from trainer.config.introspection.source_lookup import iter_class_hierarchy, locate, parse_statements, qualify_name

ArgumentDocs = dict[str, str]  # description of each argument


def get_summary(member: griffe.Object) -> str:
    """Return the first paragraph of the docstring; for a class without one, that of its constructor."""
    text = get_docstring(member)
    if not text and "__init__" in member.members:
        text = get_docstring(member.members["__init__"])
    return _extract_first_paragraph(text)


def get_argument_docs(member: griffe.Object) -> ArgumentDocs:
    """Return the argument descriptions of a function, or of a class and its constructor, in Google style."""
    docs: ArgumentDocs = {}
    for item in (member, member.members.get("__init__")):
        if isinstance(item, griffe.Object):
            docs |= _parse_arguments(get_docstring(item))
    return {name: _follow_reference(name, text, member.module) for name, text in docs.items()}


def get_inherited_docs(cls: griffe.Class, names: Iterable[str]) -> ArgumentDocs:
    """Return the descriptions of some arguments from the nearest class that describes them without a reference."""
    docs: ArgumentDocs = {}
    missing = {*names}
    for base in iter_class_hierarchy(cls):
        base_docs = get_argument_docs(base) if base else {}
        docs |= {name: base_docs[name] for name in missing & base_docs.keys()}
        missing -= {name for name, text in base_docs.items() if not _is_reference(text)}
        if base and _has_no_kwargs(base):  # its undocumented arguments are not passed to a base class
            missing = {name for name in missing if _is_reference(docs.get(name, ""))}
        if not missing:
            break
    return docs


def _is_reference(text: str) -> bool:
    return text.startswith("See `")


def _has_no_kwargs(cls: griffe.Class) -> bool:
    constructor = cls.members.get("__init__")
    if not isinstance(constructor, griffe.Function):
        return False
    return all(parameter.kind is not griffe.ParameterKind.var_keyword for parameter in constructor.parameters)


def get_docstring(member: griffe.Object | griffe.Alias) -> str:
    """Return the docstring, or the text that the module assigns to `__doc__` later, as for PyTorch's optimizers."""
    if member.docstring:
        return member.docstring.value
    for node in parse_statements(member.module) if isinstance(member, griffe.Class | griffe.Function) else ():
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == f"{member.name}.__doc__":
            return inspect.cleandoc(_evaluate_string(node.value, member.module))
    return ""


def _evaluate_string(node: ast.expr, module: griffe.Module) -> str:
    """Return the value of a string expression, without the parts that would have to be executed."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _evaluate_string(left, module) + _evaluate_string(right, module)
        case ast.JoinedStr(values=values):
            return "".join(_evaluate_string(value, module) for value in values)
        case ast.FormattedValue(value=ast.Name(id=name)):
            constant = locate(qualify_name(name, module))
            if isinstance(constant, griffe.Attribute) and constant.value is not None:
                return _evaluate_string(ast.parse(str(constant.value), mode="eval").body, constant.module)
    return ""


def _parse_arguments(text: str) -> ArgumentDocs:
    docs: ArgumentDocs = {}
    for section in griffe.Docstring(text).parse("google", warnings=False) if text else ():
        if isinstance(section, griffe.DocstringSectionParameters):
            for argument in section.value:
                for name in argument.name.split(","):  # `batch_size, eval_batch_size, seed: See ...`
                    docs[name.strip().lstrip("*")] = _extract_first_paragraph(argument.description)
    return docs


def _follow_reference(name: str, text: str, module: griffe.Module) -> str:
    """Replace "See `TensorData`." by the description of the argument in that class."""
    reference = re.fullmatch(r"See `([\w.]+)`[.;,]?\s*(.*)", text)
    member = locate(qualify_name(reference[1], module)) if reference else None
    description = get_argument_docs(member).get(name, "") if member else ""
    return f"{description} {reference[2]}".strip() if reference and description else text


def _extract_first_paragraph(text: str) -> str:
    """Return the first paragraph without Sphinx markup and without a following example."""
    text = re.split(r"\n\s*\n|\.\. \w+::", text.strip())[0]
    text = re.sub(r"\s*Examples?::$", "", text).replace("``", "`")
    # :class:`~torch.Tensor`, `a link <...>`_
    text = re.sub(r"(?::\w+:)?`~?([^`<]+?)\s*(?:<[^`]*>)?`_*", r"`\1`", text)
    return " ".join(text.split())
