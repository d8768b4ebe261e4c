"""Write JSON Schemas with which editors complete and check your YAML files.

trainer schema [DIRECTORY] [--vscode] [--json]

Writes one file per group into DIRECTORY (default: schemas) from the installed files and your own ./conf and
./experiments; run it again after changes to your classes. --vscode adds them to .vscode/settings.json. For others, the
first line of a YAML file names its schema: # yaml-language-server: $schema=../schemas/experiment.json
"""

import json
import os
from pathlib import Path

from trainer.cli.commands import parse_arguments
from trainer.cli.json_output import JsonOutputs, WrittenFiles, print_json
from trainer.config.introspection.json_schema import build_schemas
from trainer.core.errors import UserError, display_path

VSCODE_SETTINGS_FILE = Path(".vscode/settings.json")
VSCODE_SCHEMAS_KEY = "yaml.schemas"  # of the extension redhat.vscode-yaml
FILE_PATTERNS = {"experiment": ["experiments/*.yaml", "conf/experiment/*.yaml"], "config": ["conf/config.yaml"]}
JSON_OUTPUTS: JsonOutputs = {"schema": (WrittenFiles, "The schemas.")}


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    args = parse_arguments("schema", argv, "directory?", vscode=False, json=False)
    directory = Path(args.directory or "schemas")
    try:
        files = write_schemas(directory)
        if args.vscode:
            update_vscode_settings(files)
        if args.json:
            print_json(WrittenFiles([*files.values()]))
            return 0
        print(f"{len(files)} schemas in {display_path(directory.resolve())}")
        if args.vscode:
            print(f"added to {VSCODE_SETTINGS_FILE}; VS Code needs the extension redhat.vscode-yaml")
        else:
            print("VS Code: trainer schema --vscode")
            print("Neovim, Emacs, Zed, ... (yaml-language-server): first line of each file, e.g. of an experiment:")
            print(
                f"    # yaml-language-server: $schema={os.path.relpath(directory / 'experiment.json', 'experiments')}"
            )
            print("PyCharm: Settings, Languages & Frameworks, Schemas and DTDs, JSON Schema Mappings")
    except OSError as error:
        raise UserError(f"schema: cannot write {error.filename}: {error.strerror}") from None
    return 0


def write_schemas(directory: Path) -> dict[str, Path]:
    """Write all schemas and return the file of each group."""
    directory.mkdir(parents=True, exist_ok=True)
    files = {}
    for group, schema in build_schemas().items():
        files[group] = directory / f"{group}.json"
        files[group].write_text(json.dumps(schema, indent=1, ensure_ascii=False, default=str) + "\n", "utf-8")
    return files


def update_vscode_settings(files: dict[str, Path]) -> None:
    """Add the schemas to `.vscode/settings.json`; other settings are not changed.

    Raises:
        UserError: The file contains comments or is not valid JSON; it is not changed.
    """
    schemas = {
        f"./{os.path.relpath(file)}": FILE_PATTERNS.get(group, [f"conf/{group}/*.yaml"])
        for group, file in files.items()
    }
    try:
        settings = json.loads(VSCODE_SETTINGS_FILE.read_text("utf-8")) if VSCODE_SETTINGS_FILE.exists() else {}
        settings[VSCODE_SCHEMAS_KEY] = {**settings.get(VSCODE_SCHEMAS_KEY, {}), **schemas}
    except (ValueError, TypeError, AttributeError):
        text = json.dumps({VSCODE_SCHEMAS_KEY: schemas}, indent=2)
        problem = f"{VSCODE_SETTINGS_FILE} contains comments or is not valid JSON"
        raise UserError(f"{problem}; add this to it yourself:\n{text}") from None
    VSCODE_SETTINGS_FILE.parent.mkdir(exist_ok=True)
    VSCODE_SETTINGS_FILE.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
