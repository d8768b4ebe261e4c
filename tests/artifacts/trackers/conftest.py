"""Sweep and resumed run with an experiment tracker, in processes of their own."""

import pytest

SWEEP = ("-m", "data=digits", "model=linear", "trainer.max_epochs=1", "optimizer.lr=0.1,0.01", "hydra.sweep.dir=s")


@pytest.fixture
def run_sweep(process):
    """Run two jobs in one process, then resume the first one for another epoch."""

    def run(*overrides):
        done = process(*SWEEP, *overrides)
        assert done.code == 0, done.err
        resumed = process("resume", "s/0", "trainer.max_epochs=2")
        assert resumed.code == 0, resumed.err
        for outcome in (done, resumed):
            assert "continues without this logger" not in outcome.out + outcome.err
        return done.directory

    return run
