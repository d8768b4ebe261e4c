"""Parallel coordinates of sweeps."""

import pytest

from trainer.reports.parallel_coordinates import draw_parallel_coordinates, make_coordinate


def test_numbers_that_span_a_factor_of_50_are_on_a_logarithmic_scale():
    assert make_coordinate("lr", [0.001, 0.01, 0.1]).positions == pytest.approx([0.0, 0.5, 1.0])
    assert make_coordinate("width", [8, 16, 40]).positions == pytest.approx([0.0, 0.25, 1.0])
    assert make_coordinate("width", [8, 8]).positions == [0.5, 0.5]


def test_an_axis_shows_its_values_or_five_of_its_scale():
    assert make_coordinate("lr", [0.001, 0.1, 0.001]).ticks == [(0.0, "0.001"), (1.0, "0.1")]
    ticks = make_coordinate("lr", [10.0**-exponent for exponent in range(9)]).ticks
    assert [text for _, text in ticks] == ["1e-08", "1e-06", "0.0001", "0.01", "1"]


def test_other_values_are_equally_far_apart():
    coordinate = make_coordinate("model", ["mlp", "cnn", "mlp", True])
    assert coordinate.positions == pytest.approx([5 / 6, 0.5, 5 / 6, 1 / 6])
    assert [text for _, text in coordinate.ticks] == ["True", "cnn", "mlp"]


def test_the_chart_has_the_five_most_important_parameters_and_the_metric():
    parameters = {f"key{number}": [number, number + 1] for number in range(7)}
    chart = draw_parallel_coordinates(parameters, "val/loss", [0.1, 0.2], [0, None])
    assert "The 5 most important of 7 parameters." in chart.note
    assert ">key4<" in chart.svg
    assert ">key5<" not in chart.svg
    assert ">val/loss<" in chart.svg
    assert "Chart: Parallel coordinates. key0, key1, key2, key3, key4, val/loss; 0, 1, 2, 3, 4, 0.1;" in chart.svg
