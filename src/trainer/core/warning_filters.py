"""News and warnings that tell a user nothing they could act on, each with the reason why it may be silenced."""

import logging
import warnings

USELESS = {
    # pytorch-lightning 2.6.6 with torch >= 2.13: its own code (Lightning issue 21326)
    r".*isinstance\(treespec, LeafSpec\).*": FutureWarning,
    # the CSV logger writes into the run directory, which is never empty: it holds .hydra
    r"Experiment logs directory .* exists and is not empty.*": UserWarning,
    # epochs of a few steps are normal here; the last value of each is logged all the same
    r"The number of training batches \(\d+\) is smaller than the logging interval.*": UserWarning,
    # a run that goes on from another run's checkpoint has a directory, and a best epoch, of its own
    r"The dirpath has changed from .*": UserWarning,
    # a run that is resumed goes on in its own directory
    r"Checkpoint directory .* exists and is not empty.*": UserWarning,
    # a class of which a small test set has no example; its row of the table says nan
    r"No (?:positive|negative) samples in targets.*": UserWarning,
    # a run of one process needs no srun; of several, trainer itself counts those that have come
    r"The `srun` command is available on your system but is not used.*": UserWarning,
    # the averaged weights are those that are tested; what is not restored is of a training alone
    r"You're using the WeightAveraging callback, but loading a checkpoint outside the 'fit' stage.*": UserWarning,
    # nothing but trainer=cpu leaves a GPU alone
    r"GPU available but not used.*": UserWarning,
    # frozen parts of a network are in evaluation mode on purpose
    r"Found \d+ module\(s\) in eval mode at the start of training.*": UserWarning,
}


def _no_advertisement(record: logging.LogRecord) -> bool:
    return "💡" not in record.getMessage()


def quieten() -> None:
    """Silence them for the rest of the process, and Lightning's news of itself unless `hydra.verbose` asks for it."""
    if not logging.getLogger("trainer").isEnabledFor(logging.DEBUG):
        logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
        logging.getLogger("pytorch_lightning.profilers").setLevel(logging.INFO)  # the profile itself: debug=profiler
    # advertisements, even where the rest is wanted
    logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(_no_advertisement)
    for message, category in USELESS.items():
        warnings.filterwarnings("ignore", message=message, category=category)
