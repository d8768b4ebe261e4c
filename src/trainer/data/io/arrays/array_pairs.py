"""Inputs and targets of each split in array files."""

from collections.abc import Mapping
from pathlib import Path

from trainer.core.errors import UserError
from trainer.core.override_format import format_override
from trainer.data.io.arrays.array_file import ArrayFile, list_arrays, make_missing_error, open_array
from trainer.data.io.data_path import find_path
from trainer.data.loading.split import Stage

Pair = tuple[ArrayFile, ArrayFile]  # inputs, targets

# other names of arrays that are called `x` or `y` in the config, in the order of preference
USUAL_NAMES = {
    "x": ("X", "images", "image", "data", "features", "inputs", "arr_0"),
    "y": ("Y", "labels", "label", "targets", "target", "classes", "arr_1"),
}


def find_usual_names(root: Path, path: str | None, names: Mapping[str, str]) -> dict[str, str]:
    """Return the names of the arrays of inputs and targets in an .npz file by config key.

    If there is no array `x` or `y`, an array with another usual name is used.

    Args:
        root: The data root, see `find_path`.
        path: Path of the training file.
        names: Names of the user, or `x` and `y`.
    """
    file = find_path(path, root) if path else root
    available = list_arrays(file) if file.is_file() else []
    found = {}
    for key, name in names.items():
        candidates = (name, *USUAL_NAMES.get(name, ()))
        found[key] = next((item for item in candidates if {*list_names(item, "train")} & {*available}), name)
    return found


def list_names(name: str, stage: Stage) -> tuple[str, ...]:
    """Return the possible names of the array of a split in an .npz file."""
    return (*((name,) if stage == "train" else ()), f"{name}_{stage}", f"{stage}_{name}")


def refuse_unused_settings(archives: Mapping[str, str | None], files: Mapping[str, str | None]) -> None:
    """Raise an error if both archives and files of one array each are set, or names that belong to archives alone.

    Args:
        archives: Paths of .npz files, and names of arrays in them, by config key; None if not set.
        files: Paths of .npy or IDX files by config key.
    """
    used, unused = ([key for key, value in paths.items() if value] for paths in (files, archives))
    if used and unused:
        verb = "is" if len(used) == 1 else "are"
        raise UserError(f"{', '.join(unused)}: {' and '.join(used)} {verb} set too; remove one or the other")


def open_archives(root: Path, paths: Mapping[Stage, str | None], names: Mapping[str, str]) -> dict[Stage, Pair]:
    """Return the arrays of .npz files.

    The training file may contain the other splits, in arrays such as `x_test` or `test_x`.

    Args:
        root: The data root, see `find_path`.
        paths: Path of each file; only that of the training is required.
        names: Names of the arrays of inputs and targets by config key.

    Raises:
        UserError: If a file or an array is missing.
    """
    if not paths["train"]:
        raise UserError("data.path: no value given; expected an .npz file, or data.images and data.labels")
    pairs: dict[Stage, Pair] = {}
    for stage, path in paths.items():
        file = find_path(path or paths["train"], root)
        path_key = f"data.{stage}_path" if path and stage != "train" else "data.path"
        arrays: dict[str, ArrayFile] = {}
        for key, name in names.items():
            candidates = [name, *list_names(name, stage)] if path else list_names(name, stage)
            array = open_array(file, candidates, path_key)
            if array is not None and not array.name:
                raise UserError(
                    f"{path_key}: '{file}' contains one array; expected an .npz file, or one file each: "
                    "data.images=FILE data.labels=FILE"
                )
            if array is None and (path or arrays):
                raise make_missing_error(file, candidates, key)
            if array is not None:
                arrays[key] = array
        if arrays:
            inputs, targets = (arrays[key] for key in names)
            pairs[stage] = _check_lengths(inputs, targets)
    return pairs


def open_file_pairs(root: Path, paths: Mapping[Stage, Mapping[str, str | None]]) -> dict[Stage, Pair]:
    """Return the arrays of .npy or IDX files, one file for the inputs and one for the targets of a split.

    Args:
        root: The data root, see `find_path`.
        paths: Paths of the two files by config key, for each split.

    Raises:
        UserError: If a file is missing, or is an .npz file.
    """
    pairs: dict[Stage, Pair] = {}
    for stage, files in paths.items():
        if stage != "train" and not any(files.values()):
            continue
        arrays = []
        for key, path in files.items():
            if not path:
                raise UserError(f"{key}: no value given; expected an .npy or IDX file")
            array = open_array(find_path(path, root), [], key)
            if array is None:
                raise UserError(f"{key}: '{path}' is an .npz file; set {format_override('data.path', path)}")
            arrays.append(array)
        inputs, targets = arrays
        pairs[stage] = _check_lengths(inputs, targets)
    return pairs


def _check_lengths(inputs: ArrayFile, targets: ArrayFile) -> Pair:
    sizes = [array.shape[0] if array.shape else 0 for array in (inputs, targets)]
    if sizes[0] != sizes[1]:
        raise UserError(f"data: {inputs} has {sizes[0]:,} examples, but {targets} has {sizes[1]:,}; expected as many")
    return inputs, targets
