"""Split of labeled texts, so that no text is in two splits."""

from collections import Counter
from collections.abc import Mapping, Sequence

import torch

from trainer.core.errors import UserError
from trainer.data.io.texts.labeled_texts import LabeledTexts, drop_duplicates
from trainer.data.loading.folds import Fold, refuse_own_splits, stratified_split_by_stage
from trainer.data.loading.split import Stage


def split_texts(
    files: Mapping[Stage, LabeledTexts],
    fractions: Mapping[Stage, float],
    fold: Fold | None,
    class_names: Sequence[str],
    seed: int,
) -> dict[Stage, LabeledTexts]:
    """Drop duplicates, and split validation and test off the training texts if they have no files.

    Args:
        files: Texts of the splits that have files.
        fractions: Fractions of each class for validation and test if they are split off.
        fold: Fold of a cross-validation, which is the test split; None without one.
        class_names: Names of the classes, for messages.
        seed: Seed of the split.

    Raises:
        UserError: If a class has too few texts, or all training texts are also in validation or test.
    """
    refuse_own_splits(fold, files)
    splits = {**files}
    test = splits["test"].texts if "test" in splits else []
    if "val" in splits:
        splits["val"] = drop_duplicates(splits["val"], test)
    others = [text for stage, part in splits.items() if stage != "train" for text in part.texts]
    train = drop_duplicates(splits["train"], others, other="validation or test")
    if not train.texts:
        raise UserError("data.path: all its texts are also in data.val_path or data.test_path; expected other texts")
    splits["train"] = train
    open_fractions = {stage: fraction for stage, fraction in fractions.items() if stage not in splits}
    if open_fractions:
        if fold:
            open_fractions["test"] = 1 / fold.count
        _check_counts(train, class_names, [*open_fractions.values()])
        classes = torch.tensor(train.classes)
        parts = stratified_split_by_stage(classes, open_fractions, fold, seed=seed, class_names=class_names)
        splits |= {stage: train.select(rows.tolist()) for stage, rows in parts.items()}
    return {stage: splits[stage] for stage in ("train", *fractions)}


def _check_counts(texts: LabeledTexts, class_names: Sequence[str], fractions: Sequence[float]) -> None:
    """Raise an error if a class has too few texts for each split to have one."""
    if sum(fractions) >= 1:
        raise UserError("data.val_fraction and data.test_fraction: must be below 1 together")
    counts = Counter(texts.classes)
    for index, name in enumerate(class_names):
        split_off = sum(max(1, round(fraction * counts[index])) for fraction in fractions)
        if 0 < counts[index] <= split_off:
            raise UserError(
                f"data: class '{name}' has {counts[index]} different texts, but {len(fractions) + 1} splits need at "
                "least one each; add some, or remove that class from the file"
            )
