"""Tests of signatures and argument descriptions read from source files."""

import inspect
from pathlib import Path
from pkgutil import resolve_name

import pytest
from omegaconf import OmegaConf

from trainer.config.introspection.signatures import signature
from trainer.core.errors import UserError

CONF = Path(__file__).resolve().parents[3] / "conf"


def find_targets(node):
    if isinstance(node, dict):
        targets = {target for child in node.values() for target in find_targets(child)}
        return {node.get("_target_"), *targets} - {None, "???"}  # the last one is set by the user
    return set()


TARGETS = {
    target for file in CONF.glob("*/*.yaml") for target in find_targets(OmegaConf.to_container(OmegaConf.load(file)))
}
OTHERS = {
    "torch.optim.RMSprop",
    "torch.optim.LBFGS",
    "torch.optim.lr_scheduler.ExponentialLR",
    "torch.nn.Linear",
    "pytorch_lightning.callbacks.Timer",
    "trainer.config.schema.Config",
    "json.dumps",
}
CODE = '''
from dataclasses import dataclass, field
from typing import ClassVar, Literal
from torch import nn
from elsewhere import Base, Names as Called

Size = Literal["small", "large"]
raise RuntimeError("imported")

class Net(Base):
    """A net.

    Args:
        size: How large.
        seed: See `Base`.
    """
    def __init__(self, size: Size = "small", /, *, names: "Called" = (), seed: int, **more) -> None:
        super().__init__(1, width=3, **more)

class Heir(Net): ...

class Compiled(int): ...

def make(first, *rest, second: "list[Size] | None" = None, **more): ...

@dataclass
class Fields:
    """Fields.

    Args:
        late: A list.
    """
    kind: ClassVar[int] = 1
    must: int
    late: list[int] = field(default_factory=list)
    hidden: int = field(default=3, init=False)

class Steps:
    @classmethod
    def begin(cls, count: int): ...
'''
ELSEWHERE = '''
from collections.abc import Sequence

Names = Sequence[str]

class Base:
    """Base.

    Args:
        first: One.
        width: Two.
        depth: How deep.
        seed: Of the weights.
    """
    def __init__(self, first, width: int, depth: float = 2.0, seed: int = 0): ...
'''


@pytest.fixture
def user_modules(tmp_path, monkeypatch):
    """Create two user modules that must not be imported."""
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("target", sorted(TARGETS | OTHERS))
def test_a_signature_equals_that_of_inspect(target):
    expected = [p for p in inspect.signature(resolve_name(target)).parameters.values() if p.kind not in (2, 4)]
    result = signature(target)
    assert [parameter.name for parameter in result.parameters] == [p.name for p in expected]
    assert [parameter.required for parameter in result.parameters] == [p.default is p.empty for p in expected]
    assert result.summary
    assert result.file.read_text().splitlines()[result.line - 1].lstrip().startswith(("class ", "def ", "@"))


@pytest.mark.parametrize("target", sorted(target for target in TARGETS if target.startswith("trainer.")))
def test_every_argument_of_this_package_has_a_type(target):
    assert [parameter.name for parameter in signature(target).parameters if not parameter.annotation] == []


def test_arguments_have_descriptions_from_docstrings():
    adam, cnn, diabetes = map(
        signature, ("torch.optim.Adam", "trainer.model.cnn.CNN", "trainer.data.diabetes.Diabetes")
    )
    assert adam["eps"].doc.startswith("term added to the denominator")  # from an f-string assigned to `__doc__`
    assert cnn["kernel_size"].doc == "Side of the square kernels in pixels; odd if `padding` is true."
    assert cnn["kernel_size"].default == "3"
    # "See `TensorData`", in a base class two levels up
    assert diabetes["batch_size"].doc == "Training examples per step, in each process."
    assert all(parameter.doc for parameter in signature("pytorch_lightning.Trainer").parameters)


def test_aliases_are_expanded():
    assert signature("trainer.model.lstm.LSTM")["cell"].annotation == "Literal['lstm', 'gru', 'rnn']"
    assert "Literal['transformer-engine'" in signature("pytorch_lightning.Trainer")["precision"].annotation


def test_a_class_is_read_without_being_imported(user_modules):
    result = signature("mine.Net")
    assert [(p.name, p.annotation, p.default, p.kind, p.doc) for p in result.parameters] == [
        ("size", "Literal['small', 'large']", "'small'", "positional-only", "How large."),
        ("names", "Sequence[str]", "()", "keyword-only", ""),
        ("seed", "int", None, "keyword-only", "Of the weights."),
        ("depth", "float", "2.0", "positional or keyword", "How deep."),
    ]
    assert not result.accepts_kwargs
    assert (result.summary, result.file, result.line) == ("A net.", user_modules / "mine.py", 10)
    assert signature("mine.Heir").parameters == result.parameters


def test_functions_dataclasses_and_methods_are_read_too(user_modules):
    make, fields = signature("mine.make"), signature("mine.Fields")
    assert [parameter.name for parameter in make.parameters] == ["first", "second"]
    assert make.accepts_kwargs
    assert make["second"].annotation == "list[Literal['small', 'large']] | None"
    assert [(p.name, p.default, p.doc) for p in fields.parameters] == [
        ("must", None, ""),
        ("late", "list()", "A list."),
    ]
    assert [parameter.name for parameter in signature("mine.Steps.begin").parameters] == ["count"]
    assert "must" in fields
    assert "hidden" not in fields


def test_a_compiled_base_class_accepts_any_argument(user_modules):
    assert signature("mine.Compiled").accepts_kwargs


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("mine.Nett", "'mine.Nett' is no class or function in a Python file; did you mean 'Net'?"),
        ("mine.Size", "'mine.Size' is no class or function in a Python file"),
        ("nowhere.Net", "there is no module 'nowhere'"),
        ("torch.optim.Adm", "did you mean 'Adam'"),
        ("time.sleep", "'time.sleep' is no class or function in a Python file"),
        ("", "'' is no class or function in a Python file"),
    ],
)
def test_unknown_targets_are_reported(target, message, user_modules):
    with pytest.raises(UserError) as error:
        signature(target)
    assert message in str(error.value)
