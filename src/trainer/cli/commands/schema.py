"""JSON Schemas for editors, which then complete and check your YAML files as you type.

trainer schema [DIR] [--vscode]

Writes one file a group into DIR (schemas), made from what is installed and from your own ./conf and ./experiments: run
it again when your own classes have changed. --vscode tells VS Code of them, in .vscode/settings.json. Other editors are
told in the first line of a file: # yaml-language-server: $schema=../schemas/experiment.json
"""

import json
import os
from pathlib import Path

from trainer.config.introspection.json_schema import schemas
from trainer.core.errors import UserError, shown

USAGE = "trainer schema [DIR] [--vscode]"
SETTINGS = Path(".vscode/settings.json")
KEY = "yaml.schemas"  # of the extension redhat.vscode-yaml


def main(words: list[str]) -> int:
    """Run the command with the words behind `schema`; the exit status is 0.

    Raises:
        UserError: A word is unknown, or the files cannot be written.
    """
    folders = [word for word in words if word != "--vscode"]
    if len(folders) > 1 or any(word.startswith("-") or "=" in word for word in folders):
        raise UserError(f"schema: name one directory at most\n  {USAGE}")
    folder = Path(folders[0] if folders else "schemas")
    try:
        files = write(folder)
        print(f"{len(files)} schemas in {shown(folder.resolve())}")
        if "--vscode" in words:
            tell_vscode(files)
            print(f"{SETTINGS} names them; VS Code needs the extension redhat.vscode-yaml")
        else:
            print("VS Code: trainer schema --vscode")
            print("Neovim, Emacs, Zed, ... (yaml-language-server): a first line in each file; in those of experiments,")
            print(f"    # yaml-language-server: $schema={os.path.relpath(folder / 'experiment.json', 'experiments')}")
            print("PyCharm: Settings, Languages & Frameworks, Schemas and DTDs, JSON Schema Mappings")
    except OSError as error:
        raise UserError(f"schema: cannot write {error.filename}: {error.strerror}") from None
    return 0


def write(folder: Path) -> dict[str, Path]:
    """Write all schemas.

    Returns:
        The file of each group.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for group, schema in schemas().items():
        files[group] = folder / f"{group}.json"
        files[group].write_text(json.dumps(schema, indent=1, ensure_ascii=False, default=str) + "\n", "utf-8")
    return files


def places(group: str) -> list[str]:
    """Where the YAML files of a group lie."""
    own = {"experiment": ["experiments/*.yaml", "conf/experiment/*.yaml"], "config": ["conf/config.yaml"]}
    return own.get(group, [f"conf/{group}/*.yaml"])


def tell_vscode(files: dict[str, Path]) -> None:
    """Name the schemas in `.vscode/settings.json`; what else stands there stays.

    Raises:
        UserError: It has comments, or is no JSON: then it is left as it is.
    """
    names = {f"./{os.path.relpath(file)}": places(group) for group, file in files.items()}
    try:
        settings = json.loads(SETTINGS.read_text("utf-8")) if SETTINGS.exists() else {}
        others = {name: where for name, where in settings.get(KEY, {}).items() if name not in names}
    except (ValueError, AttributeError):
        lines = json.dumps({KEY: names}, indent=2)
        raise UserError(f"{SETTINGS} has comments, or is no JSON; write this into it yourself:\n{lines}") from None
    SETTINGS.parent.mkdir(exist_ok=True)
    SETTINGS.write_text(json.dumps(settings | {KEY: others | names}, indent=2) + "\n", "utf-8")
