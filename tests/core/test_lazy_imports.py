"""A run imports only what it uses, and lazy modules are complete once they are used."""

import json
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.slow
RUN = """
import sys
from trainer.cli.main import main

def run(*arguments):
    sys.argv = ["trainer", *arguments, "trainer.max_epochs=1", "+trainer.limit_train_batches=1", "trainer=cpu"]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code

run("experiment=digits_cnn")
"""
IMPORT = """
import sys
from trainer.core.lazy_imports import lazy_imports

with lazy_imports():
    import trainer.training.run, trainer.task.metrics
import torch
torch.use_deterministic_algorithms(True)
"""
UNUSED = (
    *("torchvision", "scipy", "matplotlib", "pandas", "sklearn", "tensorflow", "transformers", "tokenizers"),
    *("torch._dynamo.utils", "torch._inductor.utils", "triton", "sympy"),
    *("torchmetrics.image", "torchmetrics.functional.audio"),
)


def run_script(start, tmp_path, *lines):
    """Return the last line that a script prints: `start`, then some lines."""
    script = start + textwrap.dedent("\n".join(lines))
    process = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()[-1]


def test_a_run_on_digits_imports_nothing_that_it_does_not_use(tmp_path):
    last = run_script(RUN, tmp_path, "import json", f"print(json.dumps([n for n in {UNUSED} if n in sys.modules]))")
    assert json.loads(last) == []


SWEEP = """
import functools, json, sys
import trainer.cli.main

imported = []
job = trainer.cli.main.run_job

@functools.wraps(job)
def recording(config):
    imported.append({*sys.modules})
    return job(config)

trainer.cli.main.run_job = recording
sys.argv = ["trainer", "-m", "experiment=xor_mlp", "trainer.max_epochs=1", "trainer=cpu", "seed=1,2,3"]
try:
    trainer.cli.main.main()
except SystemExit as end:
    assert not end.code, end.code
"""


def test_the_second_job_of_a_sweep_imports_nothing(tmp_path):
    last = run_script(
        SWEEP, tmp_path, "print(json.dumps([sorted(new - old) for old, new in zip(imported, imported[1:])]))"
    )
    first, second = json.loads(last)
    assert len(first) > 100
    assert second == []


def test_torchvision_can_be_imported_later(tmp_path):
    pytest.importorskip("torchvision")
    last = run_script(
        RUN,
        tmp_path,
        'run("model=resnet", "model.net.depth=10", "model.net.width=4")',
        "print('torchvision' in sys.modules)",
    )
    assert last == "True"


def test_all_metrics_of_torchmetrics_can_be_used(tmp_path):
    last = run_script(
        IMPORT,
        tmp_path,
        """
        import inspect, torch, torchmetrics
        early = torchmetrics.Metric, torchmetrics.MetricCollection
        import torchmetrics.image, torchmetrics.detection
        from torchmetrics.functional.audio import signal_noise_ratio
        from torchmetrics.functional import accuracy
        assert (torchmetrics.Metric, torchmetrics.MetricCollection) == early
        assert issubclass(torchmetrics.image.PeakSignalNoiseRatio, early[0])
        assert torchmetrics.functional.image.structural_similarity_index_measure
        ones = torch.ones(4, dtype=torch.int)
        assert float(accuracy(ones, ones, task="binary")) == 1.0
        assert float(torchmetrics.Accuracy(task="binary")(ones, ones)) == 1.0
        assert bool(torchmetrics.utilities.imports._TORCHVISION_AVAILABLE) == ("torchvision" in sys.modules)
        assert inspect.getsource(torchmetrics).startswith('r') and torchmetrics.__all__
        print(type(torchmetrics).__name__, type(torchmetrics.functional).__name__)
        """,
    )
    assert last == "module module"


def test_metrics_can_be_imported_in_any_order(tmp_path):
    last = run_script(
        IMPORT,
        tmp_path,
        """
        import os
        STATEMENTS = (
            "from torchmetrics.aggregation import MeanMetric; MeanMetric()(1.0)",
            "import torchmetrics; torchmetrics.Accuracy(task='binary')",
            "from torchmetrics import MetricCollection, Metric; MetricCollection({})",
            "from torchmetrics.classification import BinaryAccuracy; BinaryAccuracy()",
            "from torchmetrics import MeanMetric; MeanMetric()(1.0)",
        )
        statuses = []
        for first in range(len(STATEMENTS)):
            child = os.fork()  # without the modules that an earlier order has imported
            if not child:
                for statement in STATEMENTS[first:] + STATEMENTS[:first]:
                    exec(statement)
                os._exit(0)
            statuses.append(os.waitpid(child, 0)[1])
        print(len(statuses), set(statuses))
        """,
    )
    assert last == "5 {0}"


@pytest.mark.parametrize("metric", ["torchmetrics.text.BLEUScore", "torchmetrics.functional.bleu_score"])
def test_a_metric_named_in_a_config_is_found(tmp_path, metric):
    last = run_script(IMPORT, tmp_path, f"from pkgutil import resolve_name; print(resolve_name('{metric}').__name__)")
    assert last.lstrip("_") == metric.rpartition(".")[2]


def test_a_metric_draws_itself(tmp_path):
    pytest.importorskip("matplotlib")
    last = run_script(
        IMPORT,
        tmp_path,
        """
        import torch
        from torchmetrics.classification import BinaryAccuracy
        metric = BinaryAccuracy()
        metric.update(torch.ones(2), torch.ones(2, dtype=torch.int))
        figure, axes = metric.plot()
        print(type(figure).__name__)
        """,
    )
    assert last == "Figure"


def test_networks_can_be_compiled_later(tmp_path):
    last = run_script(
        IMPORT,
        tmp_path,
        """
        import torch
        from lightning_fabric.wrappers import _unwrap_compiled
        assert torch.compiler.disable(lambda x: x)(3) == 3
        assert not _unwrap_compiled(torch.nn.Linear(1, 1))[1]
        plain = torch.nn.Linear(3, 1)
        optimizer = torch.optim.Adam(plain.parameters())
        assert "torch._dynamo.utils" not in sys.modules
        graphs = []
        def backend(graph, example):
            graphs.append(graph)
            return graph.forward
        compiled = torch.compile(plain, backend=backend)
        inputs = torch.ones(2, 3)
        assert torch.equal(compiled(inputs), plain(inputs)) and len(graphs) == 1
        compiled(inputs).sum().backward()
        optimizer.step(), optimizer.zero_grad()
        assert _unwrap_compiled(compiled)[0] is plain
        import torch._inductor.config, torch._dynamo.config, torch._inductor.utils
        assert torch._inductor.config.deterministic is True
        assert torch._dynamo.utils is sys.modules["torch._dynamo.utils"]
        step = torch.compile(lambda: optimizer.zero_grad(), backend=backend)
        step()
        print(type(torch._dynamo).__name__)
        """,
    )
    assert last == "module"


def test_operations_can_be_counted_later(tmp_path):
    last = run_script(
        IMPORT,
        tmp_path,
        """
        import torch
        from torch.utils.flop_counter import FlopCounterMode
        with FlopCounterMode(display=False) as counter:
            torch.ones(2, 3) @ torch.ones(3, 4)
        class Mine(FlopCounterMode):
            pass
        assert isinstance(counter, FlopCounterMode) and issubclass(Mine, type(counter))
        assert not isinstance(1, FlopCounterMode)
        print(counter.get_total_flops())
        """,
    )
    assert last == "48"


@pytest.mark.parametrize("module", ["", ", triton"])
@pytest.mark.parametrize("later", ["", pytest.param("import triton", marks=pytest.mark.slow)])
def test_uncollected_objects_print_no_error_at_exit(module, later, tmp_path):
    if module or later:
        pytest.importorskip("triton")
    script = IMPORT.replace("trainer.task.metrics", f"trainer.task.metrics{module}") + later
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_submodules_of_the_compiler_can_be_imported_first(tmp_path):
    last = run_script(
        IMPORT,
        tmp_path,
        """
        import torch._dynamo.utils as utils
        from torch._inductor import config
        import torch
        assert utils is torch._dynamo.utils is sys.modules["torch._dynamo.utils"] and config.deterministic
        print(utils.__spec__.loader is not None and utils.__spec__.name)
        """,
    )
    assert last == "torch._dynamo.utils"
