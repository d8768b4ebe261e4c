"""Points and classes of the threshold data set."""

import pytest

from trainer.core.errors import UserError
from trainer.data.threshold import Threshold


def test_the_lower_half_is_below_and_the_upper_half_above_in_every_split():
    data = Threshold(points=6)
    data.setup("fit")
    for split in data.splits.values():
        assert split.inputs.flatten().tolist() == [1, 2, 3, 4, 5, 6]
        assert split.targets.tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("points", [0, 5])
def test_an_odd_number_of_points_is_an_error(points):
    with pytest.raises(UserError, match=rf"^data\.points: {points} cannot be halved; use an even number$"):
        Threshold(points=points)
