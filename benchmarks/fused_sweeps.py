"""Jobs per minute of sweeps whose networks are trained together, and their time and memory by number of jobs.

    python benchmarks/fused_sweeps.py [--jobs 1,8,32,128,512,2048] [--widths 16,64,256,1024]

prints the seconds, the jobs per minute and the peak memory of one process that trains so many XOR networks together,
its start included, and draws docs/fused-sweeps.svg. With `--widths` it prints the jobs per minute of MLPs with one
hidden layer of these widths, for digits, 20 epochs and 16 seeds with two workers: together, alone, and the ratio.
"""

import argparse
import tempfile
from pathlib import Path

from chart import Panel, draw
from processes import TRAINER, run_python
from table import Round

XOR = ["experiment=xor_tutorial"]
DIABETES = ["data=diabetes", "model=mlp", "trainer.max_epochs=100"]
DIGITS_MLP = ["data=digits", "data.batch_size=64", "model=mlp", "trainer.max_epochs=20"]
DIGITS = ["experiment=digits_cnn", "trainer.max_epochs=10"]
GROUP = """
import sys
from functools import partial
from trainer.core.lazy_imports import lazy_imports
with lazy_imports():
    from trainer.cli.run_overrides import run_overrides
    from trainer.config.schema import register_hydra_plugins
    from trainer.training.fused.group import run_group
register_hydra_plugins()
n_jobs, *overrides = sys.argv[1:]
jobs = [[*overrides, f"seed={number}", f"hydra.run.dir=runs/{number}"] for number in range(int(n_jobs))]
run_group([partial(run_overrides, job) for job in jobs])
"""
CHART = Path(__file__).parent.parent / "docs" / "fused-sweeps.svg"
RATES = ",".join(str(round(0.0005 * 1.25**index, 6)) for index in range(16))


def count_jobs_per_minute(arguments: list[str], n_jobs: int, directory: Path) -> float:
    """Return the jobs per minute of a sweep, from the start of the command to its end."""
    with tempfile.TemporaryDirectory(dir=directory) as cwd:
        return 60 * n_jobs / run_python([*TRAINER, "-m", *arguments], Path(cwd))[0]


def compare(overrides: list[str], seeds: int, axes: list[str], n_jobs: int, directory: Path) -> Round:
    """Return the jobs per minute with two workers: trained together, and each alone with a quarter of the seeds."""
    together = [*overrides, *axes, f"seed=range(0,{seeds})", "sweep.workers=2", "sweep.fuse=true"]
    few = max(1, seeds // 4)
    alone = [*overrides, *axes, f"seed=range(0,{few})", "sweep.workers=2", "sweep.fuse=false"]
    return {
        "ours": count_jobs_per_minute(together, n_jobs, directory),
        "sweep.workers=2": count_jobs_per_minute(alone, n_jobs * few // seeds, directory),
    }


def measure_xor(directory: Path, *, quick: bool) -> Round:
    """Return the jobs per minute of the XOR tutorial over seeds, also of the template with Hydra's basic launcher.

    The template runs two jobs of 200 and of 700 steps. Its rate for jobs of 10,000 steps is extrapolated from the
    difference, without the start of the process.
    """
    seeds = 32 if quick else 128
    job = directory / "xor.job"
    program = f"import torch, jobs; torch.save(jobs.build_job({tuple(XOR)!r}), {str(job)!r})"
    run_python(["-c", program], directory)
    script = str(Path(__file__).with_name("template_sweep.py"))
    seconds = {}
    for steps in (200, 700):
        with tempfile.TemporaryDirectory(dir=directory) as cwd:
            arguments = [script, "-m", f"job={job}", f"steps={steps}", "patience=10000", "seed=1,2"]
            seconds[steps] = run_python(arguments, Path(cwd))[0]
    job_seconds = 10_000 * (seconds[700] - seconds[200]) / (2 * 500)
    return compare(XOR, seeds, [], seeds, directory) | {"template, basic launcher": 60 / job_seconds}


def measure_diabetes(directory: Path, *, quick: bool) -> Round:
    """Return the jobs per minute of a small MLP, 100 epochs, 16 learning rates and up to 8 seeds."""
    seeds = 4 if quick else 8
    return compare(DIABETES, seeds, [f"optimizer.lr={RATES}"], 16 * seeds, directory)


def measure_digits(directory: Path, *, quick: bool) -> Round:
    """Return the jobs per minute of a CNN with `sweep.fuse=auto`, which does not train it together, and with true."""
    seeds = 8 if quick else 32
    axis = f"seed=range(0,{seeds})"
    sweep = [*DIGITS, axis, "sweep.workers=2"]
    return {
        "ours": count_jobs_per_minute(sweep, seeds, directory),
        "sweep.workers=2": count_jobs_per_minute([*sweep, "sweep.fuse=false"], seeds, directory),
        "sweep.fuse=true": count_jobs_per_minute([*sweep, "sweep.fuse=true"], seeds, directory),
    }


MEASURES = {"fused_xor": measure_xor, "fused_diabetes": measure_diabetes, "fused_digits": measure_digits}


def compare_widths(widths: list[int]) -> None:
    """Print a line for each width of the hidden layer."""
    seeds = 16
    print("| width | multiplications in a pass | together | alone | ratio |\n| --- | --- | --- | --- | --- |")
    for width in widths:
        sweep = [*DIGITS_MLP, f"model.net.hidden=[{width}]", f"seed=range(0,{seeds})", "sweep.workers=2"]
        rates = {}
        for fuse in ("true", "false"):
            with tempfile.TemporaryDirectory() as cwd:
                rates[fuse] = count_jobs_per_minute([*sweep, f"sweep.fuse={fuse}"], seeds, Path(cwd))
        multiplications = 64 * (64 * width + width + 10 * width + 10)  # batch size times weights
        ratio = rates["true"] / rates["false"]
        print(
            f"| {width} | {multiplications:,} | {rates['true']:.1f} | {rates['false']:.1f} | {ratio:.2f} |", flush=True
        )


def compare_numbers(numbers: list[int]) -> None:
    """Print a line for each number of jobs of one process, and draw them."""
    columns: dict[str, list[float]] = {"seconds": [], "jobs per minute": [], "peak memory, MiB": []}
    print(f"| jobs | {' | '.join(columns)} |\n| --- | --- | --- | --- |")
    for number in numbers:
        with tempfile.TemporaryDirectory() as cwd:
            seconds, mebibytes = run_python(["-c", GROUP, str(number), *XOR], Path(cwd))
        row = (seconds, 60 * number / seconds, mebibytes)
        for values, value in zip(columns.values(), row, strict=True):
            values.append(value)
        print(f"| {number:,} | {row[0]:.1f} | {row[1]:.3g} | {row[2]:,.0f} |", flush=True)
    panels = [Panel(name, [f"{number:,}" for number in numbers], {"": values}) for name, values in columns.items()]
    CHART.write_text(draw(panels, "XOR networks in one process, by number (logarithmic)"))


def main() -> None:
    """Print the table that the arguments select."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", default="1,8,32,128,512,2048", help="numbers of jobs")
    parser.add_argument("--widths", default="", help="widths of the hidden layer")
    arguments = parser.parse_args()
    if arguments.widths:
        compare_widths([int(width) for width in arguments.widths.split(",")])
        return
    compare_numbers([int(number) for number in arguments.jobs.split(",")])


if __name__ == "__main__":
    main()
