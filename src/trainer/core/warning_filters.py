"""Filters for warnings that need no action by the user, each with the reason."""

import logging
import warnings

IGNORED_WARNINGS = {
    # pytorch-lightning 2.6.6 with torch >= 2.13: its own code (Lightning issue 21326)
    r".*isinstance\(treespec, LeafSpec\).*": FutureWarning,
    # the CSV logger writes into the run directory, which already contains .hydra
    r"Experiment logs directory .* exists and is not empty.*": UserWarning,
    # epochs of a few steps are normal here; the last value of each is logged
    r"The number of training batches \(\d+\) is smaller than the logging interval.*": UserWarning,
    # a run that starts from the checkpoint of another run has its own directory and its own best epoch
    r"The dirpath has changed from .*": UserWarning,
    # a resumed run continues in its own directory
    r"Checkpoint directory .* exists and is not empty.*": UserWarning,
    # a small test set may have no example of a class; the table prints nan for it
    r"No (?:positive|negative) samples in targets.*": UserWarning,
    # a single-process run needs no srun; with several, trainer itself counts the processes
    r"The `srun` command is available on your system but is not used.*": UserWarning,
    # the averaged weights are tested; the state that is not restored matters only in a training
    r"You're using the WeightAveraging callback, but loading a checkpoint outside the 'fit' stage.*": UserWarning,
    # checkpoints contain only plain hyperparameters
    r"Attribute '.*' is an instance of `nn.Module` and is already saved during checkpointing.*": UserWarning,
    # only trainer=cpu leaves a GPU unused
    r"GPU available but not used.*": UserWarning,
    # frozen parts of a network are in evaluation mode on purpose
    r"Found \d+ module\(s\) in eval mode at the start of training.*": UserWarning,
    # checkpoints contain only plain hyperparameters
    r"Attribute '\w+' is an instance of `nn.Module` and is already saved.*": UserWarning,
}


def _is_not_advertisement(record: logging.LogRecord) -> bool:
    return "💡" not in record.getMessage()


def install_warning_filters() -> None:
    """Ignore these warnings in this process, and the info messages of Lightning unless `hydra.verbose` is set."""
    if not logging.getLogger("trainer").isEnabledFor(logging.DEBUG):
        logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
        logging.getLogger("pytorch_lightning.profilers").setLevel(logging.INFO)  # prints the profile: debug=profiler
    logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(_is_not_advertisement)
    for message, category in IGNORED_WARNINGS.items():
        warnings.filterwarnings("ignore", message=message, category=category)
