"""Test scores of `data=table model=mlp` without other settings, and the cost of reading a large table.

    python benchmarks/tables.py DIRECTORY [--only NAME ...] [--seeds N]

DIRECTORY contains the files of `TARGETS`, such as `titanic.csv`. Each score is a mean over seeds, which also change the
split. The baseline is a usual pipeline of scikit-learn (standardized numbers, one-hot categories, logistic or ridge
regression), with the training and test rows of the run. scikit-learn and pandas are not dependencies: install them.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TARGETS = {
    "titanic": "survived",
    "penguins": "species",
    "tips": "tip",
    "mpg": "mpg",
    "housing": "median_house_value",
    "adult": "-1",
}
ROWS = 300_000
COLUMNS = 21
READERS = ("ours", "pandas")


def score_run(file: Path, target: str, seed: int, directory: Path) -> float:
    """Return the test accuracy, or r2, of a run of the command with only a file and a target."""
    overrides = [f"data.path={file}", f"data.target={target}", f"data.data_seed={seed}", f"seed={seed}"]
    run = directory / f"{file.stem}_{seed}"
    command = [sys.executable, "-m", "trainer", "data=table", "model=mlp", *overrides, f"hydra.run.dir={run}"]
    subprocess.run(command, check=True, capture_output=True)
    metrics = json.loads((run / "result.json").read_text())["metrics"]
    return float(metrics["test/accuracy"] if "test/accuracy" in metrics else metrics["test/r2"])


def score_pipeline(file: Path, target: str, seed: int) -> float:
    """Return the test accuracy, or r2, of the pipeline of scikit-learn, trained on the training rows of the run."""
    import pandas as pd
    import torch

    from trainer.data.table import Table
    from trainer.data.tabular.splitting import split_rows

    data = Table(path=str(file), target=int(target) if target == "-1" else target, data_seed=seed)
    assert data.inspection is not None
    dialect = data.inspection.dialect
    rows = pd.read_csv(file, sep=dialect.delimiter, skipinitialspace=True, na_values=["?"])
    targets = rows.pop(rows.columns[data.inspection.targets[0]])
    is_classification = data.task == "classification"
    labels = [data.class_names.index(str(label)) for label in targets] if is_classification else targets.to_list()
    encoded = torch.tensor(labels) if is_classification else torch.tensor(labels)[:, None]
    parts = {stage: indices.numpy() for stage, indices in split_rows(encoded, data.split).items()}
    pipeline = make_pipeline(rows, is_classification)
    pipeline.fit(rows.iloc[parts["train"]], targets.iloc[parts["train"]])
    return float(pipeline.score(rows.iloc[parts["test"]], targets.iloc[parts["test"]]))


def make_pipeline(rows, is_classification):
    """Return an untrained pipeline for a data frame of inputs, whose columns of text become objects."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [*rows.select_dtypes("number")]
    categories = [name for name in rows if name not in numbers]
    rows[categories] = rows[categories].astype(object).where(rows[categories].notna(), "missing").astype(str)
    encoder = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), categories),
    )
    return make_pipeline(encoder, LogisticRegression(max_iter=3000) if is_classification else Ridge())


def measure_reading(reader: str, file: Path) -> None:
    """Print the CPU seconds, and the additional MB of memory at the peak, of reading a file; ours also splits it."""
    if reader == "pandas":
        import pandas as pd

        def read():
            pd.read_csv(file)
    else:
        import pyarrow.compute
        import pyarrow.csv  # noqa: F401  not part of the measurement
        import torch  # noqa: F401

        from trainer.data.table import Table

        def read():
            Table(path=str(file), task="regression").setup("fit")

    start_memory = read_peak_memory()
    start = time.process_time()
    read()
    seconds = time.process_time() - start
    print(f"{seconds:.1f} s, {read_peak_memory() - start_memory:.0f} MB")


def read_peak_memory() -> float:
    """Return the largest memory of this process so far, in MB; Linux only.

    `resource.getrusage` would include the memory of the parent process.
    """
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) / 1000


def write_large_table(file: Path) -> None:
    """Write random numbers with 6 decimals."""
    import numpy as np

    numbers = np.random.default_rng(0).normal(size=(ROWS, COLUMNS))
    names = ",".join(f"c{index}" for index in range(COLUMNS))
    np.savetxt(file, numbers, "%.6f", ",", header=names, comments="")


def list_scores(directory: Path, names: list[str], seeds: int, runs: Path) -> None:
    """Print a row of the table for each file."""
    if names:
        print("| file | metric | `model=mlp` | scikit-learn |\n|---|---|---|---|")
    for name in names:
        file = directory / f"{name}.csv"
        ours = [score_run(file, TARGETS[name], seed, runs) for seed in range(seeds)]
        theirs = [score_pipeline(file, TARGETS[name], seed) for seed in range(seeds)]
        result = json.loads((runs / f"{name}_0" / "result.json").read_text())["metrics"]
        metric = "accuracy" if "test/accuracy" in result else "r2"
        means = [sum(scores) / seeds for scores in (ours, theirs)]
        print(f"| {name} | {metric} | {means[0]:.3f} | {means[1]:.3f} |", flush=True)


def main() -> None:
    """Print both tables."""
    if missing := [name for name in ("sklearn", "pandas") if importlib.util.find_spec(name) is None]:
        sys.exit(f"missing: {', '.join(missing)}; install: pip install scikit-learn pandas")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--only", nargs="+", choices=[*TARGETS, "reading"], default=[*TARGETS, "reading"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--reader", choices=READERS, help="print the cost of reading the file DIRECTORY")
    args = parser.parse_args()
    if args.reader:
        measure_reading(args.reader, args.directory)
        return
    with tempfile.TemporaryDirectory() as runs:
        list_scores(args.directory, [name for name in TARGETS if name in args.only], args.seeds, Path(runs))
        if "reading" in args.only:
            file = Path(runs) / "large.csv"
            write_large_table(file)
            print(f"\nreading {ROWS:,} rows of {COLUMNS} numbers, {file.stat().st_size / 1e6:.0f} MB:")
            for reader in READERS:
                command = [sys.executable, __file__, str(file), f"--reader={reader}"]
                result = subprocess.run(command, check=True, capture_output=True, text=True)
                print(f"{reader}: {result.stdout.strip()}")


if __name__ == "__main__":
    main()
