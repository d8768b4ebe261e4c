"""The working directory is importable only if it contains a module that a config names."""

import sys

import pytest

from trainer.config.import_path import add_packages_of_search_path, add_working_directory


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    """Change to a directory with modules of the user, one of them named like an installed package."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("my_code_of_this_test", "tensorflow", "rich"):
        (tmp_path / f"{name}.py").touch()
    (tmp_path / "my_package_of_this_test").mkdir()
    return str(tmp_path)


@pytest.mark.parametrize("target", ["my_code_of_this_test.Net", "my_package_of_this_test.nets.Net"])
def test_a_named_module_makes_it_importable_after_all_other_directories(target, directory):
    add_working_directory(["torch.nn.Linear", target])
    assert sys.path[-1] == directory
    add_working_directory([target])
    assert sys.path.count(directory) == 1


@pytest.mark.parametrize(
    "targets", [[], ["torch.nn.Linear"], ["rich.text.Text"], ["missing.Net"], ["not a name.X", ""]]
)
def test_other_names_do_not(targets, directory):
    add_working_directory(targets)
    assert directory not in sys.path


@pytest.mark.parametrize("prefix", ["", "+"])
def test_a_package_in_the_search_path_of_configs_is_importable(prefix, directory):
    override = f"{prefix}hydra.searchpath=[pkg://other, pkg://my_package_of_this_test.conf]"
    add_packages_of_search_path(["-m", override])
    assert sys.path[-1] == directory


@pytest.mark.parametrize("override", ["hydra.searchpath=[pkg://other]", "tags=[pkg://my_package_of_this_test]"])
def test_other_overrides_do_not_change_the_import_path(override, directory):
    add_packages_of_search_path([override])
    assert directory not in sys.path


def test_a_deleted_working_directory_is_ignored(tmp_path, monkeypatch):
    (tmp_path / "deleted").mkdir()
    monkeypatch.chdir(tmp_path / "deleted")
    (tmp_path / "deleted").rmdir()
    before = [*sys.path]
    add_working_directory(["my_code_of_this_test.Net"])
    assert sys.path == before
