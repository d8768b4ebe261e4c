"""Type hints of user code with enumerations and with names for type checkers only."""

from __future__ import annotations

from enum import Enum, IntEnum, StrEnum
from typing import TYPE_CHECKING

import pytest

from trainer.training.preflight.call_signatures import check_calls

if TYPE_CHECKING:
    from decimal import Decimal


class Pooling(Enum):
    MEAN = "mean"
    MAX = "max"


class Level(StrEnum):
    LOW = "low"


class Size(IntEnum):
    SMALL = 1


class Net:
    def __init__(
        self,
        width: int = 1,
        price: Decimal | None = None,
        pooling: Pooling = Pooling.MEAN,
        other: Pooling | None = None,
        level: Level = Level.LOW,
        size: Size = Size.SMALL,
    ): ...


def check(**arguments):
    call = {"_target_": f"{__name__}.Net", **arguments}
    return [(item.key, item.problem, item.suggestion) for item in check_calls("model", call)]


@pytest.mark.parametrize("name", ["pooling", "other"])
def test_the_value_of_a_member_is_not_the_member(name):
    member = f"{{_target_: {__name__}.Pooling, value: max}}"
    assert check(**{name: "max"}) == [(f"model.{name}", "'max' is not Pooling", f"expected {member}")]
    assert check(**{name: {"_target_": f"{__name__}.Pooling", "value": "max"}}) == []


def test_the_values_of_an_enumeration_are_listed():
    assert check(pooling="sum") == [("model.pooling", "'sum' is not one of: 'mean' or 'max'", "")]


def test_strings_and_numbers_are_members_of_their_enumerations():
    assert check(level="low", size=1, other=None) == []


def test_a_name_for_type_checkers_does_not_disable_the_check_of_other_arguments():
    assert check(width=0.5, price="1.5") == [("model.width", "0.5 is not int", "")]
