"""Best trials for one and for several metrics."""

from trainer.sweeps.search.optuna_adapter import SearchObjective
from trainer.sweeps.search.pareto_front import compute_pareto_front
from trainer.sweeps.store.job import Job


def make_jobs(*values):
    results = [{"metrics": dict(zip(("loss", "speed"), pair, strict=True))} for pair in values]
    return [Job(number, str(number), [], "done", result=result) for number, result in enumerate(results)]


def numbers_of(jobs):
    return [job.number for job in jobs]


def test_the_front_contains_the_jobs_that_are_not_dominated():
    objective = SearchObjective(("loss", "speed"), ("min", "max"), "tpe", "none", 1)
    all_jobs = make_jobs((1.0, 1.0), (2.0, 3.0), (2.0, 2.0), (3.0, 5.0), (float("nan"), 9.0), (4.0, 5.0))
    assert numbers_of(compute_pareto_front(all_jobs, objective)) == [0, 1, 3]
    assert numbers_of(
        compute_pareto_front([*all_jobs[1:3], Job(9, "9", [], "pruned", result=all_jobs[0].result)], objective)
    ) == [1]


def test_for_one_metric_the_front_is_the_best_job():
    all_jobs = make_jobs((1.0, 1.0), (2.0, 3.0))
    assert numbers_of(compute_pareto_front(all_jobs, SearchObjective(("loss",), ("min",), "tpe", "none", 1))) == [0]
    assert numbers_of(compute_pareto_front(all_jobs, SearchObjective(("loss",), ("max",), "tpe", "none", 1))) == [1]
    assert compute_pareto_front([], SearchObjective(("loss",), ("min",), "tpe", "none", 1)) == []
