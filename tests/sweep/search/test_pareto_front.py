"""The best trials: one, or with several metrics those that no other one beats."""

from trainer.sweep.search.optuna_adapter import Goal
from trainer.sweep.search.pareto_front import front
from trainer.sweep.store.job_store import Job


def jobs(*values):
    found = [{"metrics": dict(zip(("loss", "speed"), pair, strict=True))} for pair in values]
    return [Job(number, str(number), [], "done", result=result) for number, result in enumerate(found)]


def numbers(found):
    return [job.number for job in found]


def test_the_front_is_what_no_other_beats():
    goal = Goal(("loss", "speed"), ("min", "max"), "tpe", "none", 1)
    made = jobs((1.0, 1.0), (2.0, 3.0), (2.0, 2.0), (3.0, 5.0), (float("nan"), 9.0), (4.0, 5.0))
    assert numbers(front(made, goal)) == [0, 1, 3]
    assert numbers(front([*made[1:3], Job(9, "9", [], "pruned", result=made[0].result)], goal)) == [1]


def test_of_one_metric_the_front_is_the_best():
    made = jobs((1.0, 1.0), (2.0, 3.0))
    assert numbers(front(made, Goal(("loss",), ("min",), "tpe", "none", 1))) == [0]
    assert numbers(front(made, Goal(("loss",), ("max",), "tpe", "none", 1))) == [1]
    assert front([], Goal(("loss",), ("min",), "tpe", "none", 1)) == []
