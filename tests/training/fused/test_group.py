"""Equality of the runs of a group with the same runs alone: weights, logged values, counters and files."""

import pytest

SEEDS = [["seed=1"], ["seed=2"]]
XOR = ["data=xor", "model.net.hidden=[4]", "trainer.max_epochs=2"]
DIABETES = ["data=diabetes", "data.synthetic=true", "model.net.hidden=[8]", "trainer.max_epochs=3"]
DIABETES += ["trainer.log_every_n_steps=4", "model.net.activation=tanh"]  # ReLU would enlarge rounding errors
DIGITS = ["data=digits", "model.net.hidden=[8]", "trainer.max_epochs=2", "trainer.log_every_n_steps=4"]
CNN = ["data=digits", "model=cnn", "model.net.channels=[4,8]", "model.net.hidden=[8]", "trainer.max_epochs=2"]
LINE = ["data=line", "model.net.hidden=[8]", "trainer.max_epochs=2", "trainer.log_every_n_steps=4"]
MLP = ["model=mlp"]
SGD = ["optimizer=sgd"]
CLIPPING = ["callbacks=[default,gradient_clipping]"]
EARLY = ["callbacks=[default,early_stopping]", "trainer.max_epochs=12", "trainer.log_every_n_steps=10"]


def values(key, *settings):
    """Return members that differ in one setting."""
    return [[f"{key}={setting}"] for setting in settings]


# settings of all members, and those of each member
QUICK_CASES = {
    "onecycle and dropout": (
        [*DIGITS, *MLP, "scheduler=onecycle"],
        [["model.net.dropout=0.2", "seed=1"], ["model.net.dropout=0.5", "seed=1"], ["model.net.dropout=0.2"]],
    ),
    "penalties and label smoothing": (
        [*DIGITS, *MLP, *SGD],
        [["objective.label_smoothing=0.1"], ["objective.penalty.l1=0.01"], ["objective.penalty.l2=0.01"], []],
    ),
}
SLOW_CASES = {
    "sgd": ([*XOR, *MLP, *SGD], SEEDS),
    "adam and learning rates": ([*DIABETES, *MLP], values("optimizer.lr", 0.01, 0.001, 0.01)),
    "momentum and its rates": ([*DIABETES, *MLP, *SGD, "optimizer.lr=0.01"], values("optimizer.momentum", 0.5, 0, 0.9)),
    "regression": ([*LINE, *MLP], SEEDS),
    "standardized targets": ([*LINE, *MLP, "data.standardize_target=true"], SEEDS),
    "batch norm": ([*DIGITS, *MLP, "model.net.batch_norm=true"], SEEDS),
    "clipping by norm": ([*DIGITS, *MLP, *CLIPPING], values("callbacks.gradient_clipping.value", 0.05, 0.5, 9)),
    "adamw and weight decay": ([*DIABETES, *MLP, "optimizer=adamw"], values("optimizer.weight_decay", 0.5, 0, 0.01)),
    "betas": ([*DIABETES, *MLP], values("optimizer.betas", "[0.9,0.999]", "[0.5,0.9]")),
    "nesterov": ([*DIABETES, *MLP, *SGD, "optimizer.momentum=0.9", "optimizer.nesterov=true"], SEEDS),
    "updates that are not fused": (
        [*DIABETES, *MLP, "optimizer.fused=false", "scheduler=step", "scheduler.every_n_epochs=1"],
        SEEDS,
    ),
    "constant": ([*DIABETES, *MLP, "scheduler=constant"], SEEDS),
    "cosine": ([*DIABETES, *MLP, "scheduler=cosine"], values("scheduler.warmup_steps", 0, 5, 9)),
    "step": ([*DIABETES, *MLP, "scheduler=step"], values("scheduler.every_n_epochs", 1, 2)),
    "warmup": ([*DIABETES, *MLP, "scheduler=warmup"], values("scheduler.warmup_steps", 5, 20)),
    "plateau": (
        [*DIABETES, *MLP, "scheduler=plateau", "scheduler.patience=0", "trainer.max_epochs=8", "optimizer.lr=0.1"],
        [*SEEDS, *values("scheduler.factor", 0.5)],
    ),
    "clipping by value": (
        [*DIGITS, *MLP, *CLIPPING, "callbacks.gradient_clipping.algorithm=value"],
        values("callbacks.gradient_clipping.value", 0.001, 0.01),
    ),
    "clipping by the trainer": ([*DIGITS, *MLP], values("+trainer.gradient_clip_val", 0.05, 0.2)),
    "clipping by value by the trainer": (
        [*DIGITS, *MLP, "+trainer.gradient_clip_algorithm=value"],
        values("+trainer.gradient_clip_val", 0.001, 0.01),
    ),
    "accumulation": (
        [*DIGITS, *MLP, *CLIPPING, "trainer.accumulate_grad_batches=3", "scheduler=onecycle"],
        values("callbacks.gradient_clipping.value", 0.05, 0.5),
    ),
    "different numbers of accumulated batches": ([*DIGITS, *MLP], values("trainer.accumulate_grad_batches", 2, 3, 2)),
    "accumulation over a validation": (
        [*DIGITS, *MLP, "trainer.accumulate_grad_batches=3", "+trainer.val_check_interval=7"],
        [*SEEDS, ["model.net.dropout=0.2"]],
    ),
    "accumulation over more batches than an epoch has": (
        [*DIGITS, *MLP, "trainer.accumulate_grad_batches=50", "+trainer.limit_train_batches=7"],
        SEEDS,
    ),
    "convolutions": ([*CNN, *SGD], [*SEEDS, ["optimizer.lr=0.01"]]),
    "convolutions with batch norm": ([*CNN, *SGD, "model.net.batch_norm=true"], SEEDS),
    "class weights and focal loss": (
        [*DIABETES, *MLP],
        [
            ["objective.class_weights=[1,4]"],
            ["objective.class_weights=[3,1]"],
            ["objective.class_weights=balanced", "objective.label_smoothing=0.1"],
            ["objective.loss=focal"],
            ["objective.loss=focal", "objective.focal_gamma=1"],
            [],
        ],
    ),
    "class weights of several classes": ([*DIGITS, *MLP, "objective.class_weights=balanced"], SEEDS),
    "balanced sampling": ([*DIABETES, *MLP, "data.sampling=balanced"], SEEDS),
    "thresholds": ([*DIABETES, *MLP, "objective.threshold=f1", "objective.metrics=[f1,mcc]"], SEEDS),
    "augmented images": ([*DIGITS, *MLP, "data.augmentation=[{affine:{shift_pixels:1}}]"], SEEDS),
    "hinge loss": ([*DIGITS, *MLP, "objective.loss=hinge"], SEEDS),
    "huber loss": ([*LINE, *MLP, "objective.loss=huber"], SEEDS),
    "several losses": ([*LINE, *MLP], values("objective.loss", "mse", "l1", "huber", "mse")),
    "l1 loss": ([*LINE, *MLP, "objective.loss=l1"], SEEDS),
    "residual layers": ([*DIGITS, *MLP, "model.net.hidden=[8,8]", "model.net.residual=true"], SEEDS),
    "linear": (["data=diabetes", "data.synthetic=true", "model=linear", "trainer.max_epochs=3"], SEEDS),
    "validation within the epoch": ([*DIGITS, *MLP, "+trainer.val_check_interval=7"], SEEDS),
    "validation by steps": (
        [*DIGITS, *MLP, "+trainer.val_check_interval=7", "trainer.check_val_every_n_epoch=null"],
        SEEDS,
    ),
    "rare validation": ([*DIGITS, *MLP, "trainer.check_val_every_n_epoch=2"], SEEDS),
    "max_steps": ([*DIGITS, *MLP, "+trainer.max_steps=33"], SEEDS),
    "different numbers of steps": ([*DIGITS, *MLP], values("+trainer.max_steps", 33, 25, 33)),
    "different numbers of epochs": ([*DIABETES, *MLP], values("trainer.max_epochs", 2, 5, 3)),
    "fewer batches": (
        [*DIGITS, *MLP, "+trainer.limit_train_batches=7", "+trainer.limit_val_batches=2", "data.eval_batch_size=50"],
        SEEDS,
    ),
    "batch sizes": (
        [*DIGITS, *MLP],
        [[f"data.batch_size={size}", f"seed={seed}"] for size in (50, 64) for seed in "12"],
    ),
    "early stopping": ([*DIABETES, *MLP, *EARLY], values("callbacks.early_stopping.patience", 1, 2, 9)),
    "early stopping of some": (
        [*DIABETES, *MLP, *EARLY, "callbacks.early_stopping.patience=1"],
        values("callbacks.early_stopping.min_delta", 0.5, 0, 0.01, 0),
    ),
    "learning rates of a schedule": (
        [*DIABETES, *MLP, "scheduler=onecycle"],
        [[f"optimizer.lr={rate}", f"seed={seed}"] for rate in (0.01, 0.1) for seed in "12"],
    ),
    "sizes of validations": ([*DIABETES, *MLP], values("data.val_fraction", 0.2, 0.3)),
}
# biases before batch norm and of keys have a gradient of 0, of which Adam amplifies the rounding errors
NOISY_CASES = {
    "attention": (
        ["data=stock", "data.synthetic=true", "model=attention", "trainer.max_epochs=1"],
        SEEDS,
        ("in_proj",),
    ),
    "adam with batch norm": ([*CNN, "model.net.batch_norm=true"], SEEDS, ("optimizer_states", "blocks")),
}


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")  # of attention in vmap
@pytest.mark.parametrize(
    "case", [*QUICK_CASES, *(pytest.param(case, marks=pytest.mark.slow) for case in [*SLOW_CASES, *NOISY_CASES])]
)
def test_runs_of_a_group_are_equal_to_runs_alone(case, assert_equal_runs):
    assert_equal_runs(*(QUICK_CASES | SLOW_CASES | NOISY_CASES)[case])


def test_rounding_errors_of_gradients_that_are_zero_in_theory_do_not_prevent_a_group(run_alone_and_together, work):
    codes = run_alone_and_together([*LINE, *MLP, *SGD, "model.net.batch_norm=true", "optimizer.lr=0.001"], SEEDS)
    assert codes == [[0], [0]]
    assert work["segments"]
    assert work["alone"] == 0
