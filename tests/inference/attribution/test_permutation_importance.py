"""Permutation importance against numbers computed by hand and against scikit-learn."""

from functools import partial

import numpy as np
import pytest
import torch

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.inference.attribution.permutation_importance import (
    choose_metric,
    compute_importances,
    draw_permutations,
    make_score,
)
from trainer.task.objective import make_objective

CLASSES = DataSpec("classes", "vector", (3,), "classification", 1, ("no", "yes"))
VALUES = DataSpec("values", "vector", (3,), "regression", 1)
INPUTS = torch.tensor([[1.0, 5.0, 0.0], [2.0, 6.0, 1.0], [-1.0, 7.0, 0.0], [-2.0, 8.0, 1.0]])
SWAP_PAIRS = torch.tensor([1, 0, 3, 2])
SWAP_HALVES = torch.tensor([2, 3, 0, 1])


def first_feature(inputs):
    return inputs[:, :1]


def test_importance_is_the_decrease_of_accuracy_for_each_permutation():
    score = make_score(first_feature, make_objective(CLASSES), torch.tensor([1, 1, 0, 0]), "accuracy")
    actual = compute_importances(score, INPUTS, [[0], [1]], [SWAP_PAIRS, SWAP_HALVES])
    # swapped pairs are of the same class, swapped halves of the other one
    assert actual.tolist() == [[0.0, 1.0], [0.0, 0.0]]


def test_importance_is_the_increase_of_metrics_whose_small_values_are_good():
    targets = INPUTS[:, :1]
    for metric, expected in {"mae": [1.0, 3.0], "loss": [1.0, 10.0], "rmse": [1.0, 3.162278]}.items():
        objective = make_objective(VALUES, metrics=["mae", "rmse"])
        score = make_score(first_feature, objective, targets, metric)
        actual = compute_importances(score, INPUTS, [[0]], [SWAP_PAIRS, SWAP_HALVES])
        assert actual.tolist() == [pytest.approx(expected)]  # distances of 1 in pairs, of 2 and 4 in halves


def test_the_inputs_of_a_group_get_the_values_of_the_same_row():
    seen = []
    compute_importances(lambda inputs: seen.append(inputs.clone()) or 0.0, INPUTS, [[0, 2]], [SWAP_PAIRS])
    assert seen[0].tolist() == INPUTS.tolist()
    assert seen[1].tolist() == [[2.0, 5.0, 1.0], [1.0, 6.0, 0.0], [-2.0, 7.0, 1.0], [-1.0, 8.0, 0.0]]
    assert INPUTS[0].tolist() == [1.0, 5.0, 0.0]


def test_an_input_that_the_network_ignores_has_importance_0_and_the_target_itself_the_largest():
    random = torch.Generator().manual_seed(1)
    inputs = torch.randn(100, 3, generator=random)
    weights = torch.tensor([[1.0], [0.0], [0.1]])
    score = make_score(lambda rows: rows @ weights, make_objective(CLASSES), (inputs[:, 0] > 0).long(), "accuracy")
    means = compute_importances(score, inputs, [[0], [1], [2]], draw_permutations(100, 5, seed=1)).mean(1)
    assert means[1] == 0.0
    assert means[0] > 0.4  # from an accuracy near 1 to chance
    assert abs(means[2]) < 0.1


def test_permutations_depend_on_the_seed_alone():
    first = draw_permutations(50, 3, seed=1)
    torch.manual_seed(7)
    assert all(torch.equal(*pair) for pair in zip(first, draw_permutations(50, 3, seed=1), strict=True))
    assert not torch.equal(first[0], draw_permutations(50, 3, seed=2)[0])
    assert not torch.equal(first[0], first[1])
    assert all(sorted(permutation.tolist()) == [*range(50)] for permutation in first)


def test_the_default_metric_is_the_first_one_of_the_objective():
    choose = partial(choose_metric, key="metric")
    assert choose(make_objective(CLASSES), None) == "accuracy"
    assert choose(make_objective(VALUES, metrics=["rmse", "mae"]), None) == "rmse"
    assert choose(make_objective(VALUES), "loss") == "loss"
    with pytest.raises(UserError, match="metric: the objective has no metric 'acuracy'; did you mean 'accuracy'"):
        choose(make_objective(CLASSES), "acuracy")


def list_sklearn_permutations(rows, repeats, seed):
    """Return the permutations of scikit-learn, which shuffles the column of the previous repetition again."""
    state = np.random.RandomState(np.random.RandomState(seed).randint(np.iinfo(np.int32).max + 1))
    shuffled = np.arange(rows)
    permutation = np.arange(rows)
    for _ in range(repeats):
        state.shuffle(shuffled)
        permutation = permutation[shuffled]
        yield torch.from_numpy(permutation)


@pytest.mark.parametrize(("metric", "scoring"), [("mae", "neg_mean_absolute_error"), ("r2", "r2")])
def test_importances_equal_those_of_scikit_learn(metric, scoring):
    inspection = pytest.importorskip("sklearn.inspection")
    linear_model = pytest.importorskip("sklearn.linear_model")
    random = np.random.default_rng(0)
    inputs = random.normal(size=(60, 3))
    values = inputs @ [1.0, 0.0, 2.0] + random.normal(size=60)
    model = linear_model.LinearRegression().fit(inputs, values)
    expected = inspection.permutation_importance(model, inputs, values, scoring=scoring, random_state=3).importances
    targets = torch.tensor(values)[:, None]
    score = make_score(lambda rows: torch.tensor(model.predict(rows))[:, None], make_objective(VALUES), targets, metric)
    permutations = [*list_sklearn_permutations(60, 5, seed=3)]
    actual = compute_importances(score, torch.tensor(inputs), [[0], [1], [2]], permutations)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-9)
