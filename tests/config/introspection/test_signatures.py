"""Signatures told from the source: as Python itself tells them, with what the docstrings say."""

import inspect
from pathlib import Path
from pkgutil import resolve_name

import pytest
from omegaconf import OmegaConf

from trainer.config.introspection.signatures import signature
from trainer.core.errors import UserError

CONF = Path(__file__).resolve().parents[3] / "conf"


def targets_in(node):
    if isinstance(node, dict):
        return {node.get("_target_"), *(target for child in node.values() for target in targets_in(child))} - {None}
    return set()


TARGETS = {
    target for file in CONF.glob("*/*.yaml") for target in targets_in(OmegaConf.to_container(OmegaConf.load(file)))
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
def mine(tmp_path, monkeypatch):
    """Two modules of a user, which must not be imported."""
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("target", sorted(TARGETS | OTHERS))
def test_a_signature_is_the_one_that_python_tells(target):
    named = [p for p in inspect.signature(resolve_name(target)).parameters.values() if p.kind not in (2, 4)]
    told = signature(target)
    assert [each.name for each in told.parameters] == [p.name for p in named]
    assert [each.required for each in told.parameters] == [p.default is p.empty for p in named]
    assert told.summary
    assert told.file.read_text().splitlines()[told.line - 1].lstrip().startswith(("class ", "def ", "@"))


@pytest.mark.parametrize("target", sorted(target for target in TARGETS if target.startswith("trainer.")))
def test_every_argument_of_ours_has_a_type(target):
    assert [each.name for each in signature(target).parameters if not each.annotation] == []


def test_what_stands_in_the_docstring_is_told_of_each_argument():
    adam, cnn, diabetes = map(
        signature, ("torch.optim.Adam", "trainer.model.cnn.CNN", "trainer.data.diabetes.Diabetes")
    )
    assert adam["eps"].doc.startswith("term added to the denominator")  # out of an f-string that makes `__doc__`
    assert cnn["kernel_size"].doc == "Side of the square convolutions, in pixels; odd, where they pad."
    assert cnn["kernel_size"].default == "3"
    assert diabetes["batch_size"].doc == "Training examples a step, in each process."  # "See `TensorData`", two up
    assert all(each.doc for each in signature("pytorch_lightning.Trainer").parameters)


def test_an_alias_is_written_out():
    assert signature("trainer.model.lstm.LSTM")["cell"].annotation == "Literal['lstm', 'gru', 'rnn']"
    assert "Literal['transformer-engine'" in signature("pytorch_lightning.Trainer")["precision"].annotation


def test_a_class_is_read_without_being_run(mine):
    told = signature("mine.Net")
    assert [(p.name, p.annotation, p.default, p.kind, p.doc) for p in told.parameters] == [
        ("size", "Literal['small', 'large']", "'small'", "positional-only", "How large."),
        ("names", "Sequence[str]", "()", "keyword-only", ""),
        ("seed", "int", None, "keyword-only", "Of the weights."),
        ("depth", "float", "2.0", "positional or keyword", "How deep."),
    ]
    assert not told.takes_any
    assert (told.summary, told.file, told.line) == ("A net.", mine / "mine.py", 10)
    assert signature("mine.Heir").parameters == told.parameters


def test_functions_dataclasses_and_methods_are_read_too(mine):
    make, fields = signature("mine.make"), signature("mine.Fields")
    assert [each.name for each in make.parameters] == ["first", "second"]
    assert make.takes_any
    assert make["second"].annotation == "list[Literal['small', 'large']] | None"
    assert [(p.name, p.default, p.doc) for p in fields.parameters] == [
        ("must", None, ""),
        ("late", "list()", "A list."),
    ]
    assert [each.name for each in signature("mine.Steps.begin").parameters] == ["count"]
    assert "must" in fields
    assert "hidden" not in fields


def test_what_is_not_written_in_python_may_take_anything(mine):
    assert signature("mine.Compiled").takes_any


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("mine.Nett", "'mine.Nett' is no class or function in a Python file; did you mean 'Net'?"),
        ("mine.Size", "'mine.Size' is no class or function in a Python file"),
        ("nowhere.Net", "no module 'nowhere' is found"),
        ("torch.optim.Adm", "did you mean 'Adam'"),
        ("time.sleep", "'time.sleep' is no class or function in a Python file"),
        ("", "'' is no class or function in a Python file"),
    ],
)
def test_what_is_not_there_is_refused_by_name(target, message, mine):
    with pytest.raises(UserError) as refusal:
        signature(target)
    assert message in str(refusal.value)
