"""Time-ordered folds of prices, which use no later days and have scales and naive forecasts of their own."""

from math import log

import pytest
import torch

from trainer.data.stock import Stock

PRICES = [100.0 + 7 * (day % 5) + day for day in range(60)]
SETTINGS = {"window": 4, "val_fraction": 0.25, "folds": 4}
BLOCKS = [(12, 24), (24, 36), (36, 48), (48, 60)]  # 60 // 5 days each


@pytest.mark.parametrize("quantity", ["prices", "returns"])
@pytest.mark.parametrize("fold", range(4))
def test_a_fold_is_tested_on_its_block_and_trained_on_earlier_days_only(stock, fold, quantity):
    first, stop = BLOCKS[fold]
    settings = {**SETTINGS, "quantity": quantity, "fold": fold}
    data = stock(PRICES, **settings)
    days, forecast, today, actual = data.to_prices("test", data.splits["test"].targets)[1]
    assert actual.tolist() == PRICES[first:stop]
    assert today.tolist() == PRICES[first - 1 : stop - 1]  # the naive forecast, on the same days
    assert forecast.tolist() == pytest.approx(actual.tolist())
    assert len(days) == len(data.splits["test"].targets) == 12
    assert data.pooled_examples == 48

    # other prices after the training change neither training examples nor scales
    first_val = first - first // 4
    train, scales = data.splits["train"], (data.preprocessing.input_scales, data.target_scale.state())
    later = stock([*PRICES[:first_val], *(3 * price for price in PRICES[first_val:])], **settings)
    assert torch.equal(later.splits["train"].inputs, train.inputs)
    assert torch.equal(later.splits["train"].targets, train.targets)
    assert (later.preprocessing.input_scales, later.target_scale.state()) == scales
    earlier = stock([*PRICES[: first_val - 1], 300.0, *PRICES[first_val:]], **settings)
    assert (earlier.preprocessing.input_scales, earlier.target_scale.state()) != scales


def test_inputs_of_a_test_window_end_before_its_target(stock):
    settings = {**SETTINGS, "quantity": "returns", "fold": 1}
    original = stock(PRICES, **settings).splits["test"]
    changed = stock([*PRICES[:30], *(2 * price for price in PRICES[30:])], **settings).splits["test"]
    # the targets of the windows 0 to 6 are the days 24 to 30
    assert torch.equal(original.inputs[:7], changed.inputs[:7])
    assert torch.equal(original.targets[:6], changed.targets[:6])
    assert float(changed.targets[6] - original.targets[6]) == pytest.approx(log(2))


def test_targets_of_all_folds_have_the_same_unit():
    """Predictions of folds are pooled, although each network has scales of its own."""
    folds = [Stock(synthetic=True, folds=3, fold=number) for number in range(3)]
    for data in folds:
        data.setup("fit")
    assert len({str(data.target_scale) for data in folds}) == 3
    prices = folds[0].series.prices.log()
    joined = torch.cat([data.splits["test"].targets for data in folds])
    assert torch.allclose(joined[:, 0], (prices[1:] - prices[:-1])[-len(joined) :])
