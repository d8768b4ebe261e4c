"""Signatures of config, code and commands, by which the user's own runs and sweeps are recognized.

A run signs the nodes of its config that name code outside of the allow-list, their arguments, the hashes of the
imported files and its working directory, with a key that only this user can read. It also signs the commits and the
uncommitted changes of its code, and a sweep its command. A run directory, a checkpoint or a sweep from elsewhere has no
valid signature, and neither has one that was changed. See `trainer.config.target_allowlist`.
"""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from trainer.config.target_allowlist import find_untrusted_nodes

KEY_BYTES = 32


def sign_config(config: Any, code: Mapping[str, str]) -> str | None:
    """Return the signature of a config that the user starts in the current working directory.

    Args:
        config: Config of plain containers.
        code: Hashes of the imported files by name.

    Returns:
        str | None: None if the key cannot be created, e.g. without a home directory.
    """
    return _sign(_list_config_content(config, code, Path.cwd()))


def is_signed(config: Any, record: Mapping[str, Any], directory: Path) -> bool:
    """Return whether this user has started a config in a working directory.

    Args:
        config: Config of plain containers.
        record: Recorded start or provenance of a checkpoint, with `code` and `signature`.
        directory: Working directory.
    """
    code = record.get("code")
    if not isinstance(code, Mapping) or Path(record.get("directory", directory)).resolve() != directory.resolve():
        return False
    return _has_signature(_list_config_content(config, code, directory), record.get("signature"))


def sign_code(start: Mapping[str, Any], diff: str) -> str | None:
    """Return the signature of the code of a start: working directory, commits, uncommitted changes and file hashes.

    Args:
        start: Entry of `provenance.json`, with `directory`, `git` and `code`.
        diff: Content of `code.diff`; "" if there is none.

    Returns:
        str | None: None if the key cannot be created.
    """
    return _sign(_list_code_content(start, diff))


def is_code_signed(start: Mapping[str, Any], diff: str) -> bool:
    """Return whether this user has run the code of a start; see `sign_code`."""
    return _has_signature(_list_code_content(start, diff), start.get("code_signature"))


def sign_command(overrides: Sequence[str], directory: Path) -> str | None:
    """Return the signature of the command of a sweep in a working directory; None if the key cannot be created."""
    return _sign(["command", [*overrides], str(directory)])


def is_command_signed(overrides: Sequence[str], directory: Path, signature: str | None) -> bool:
    """Return whether this user has started a sweep with a command in a working directory."""
    return _has_signature(["command", [*overrides], str(directory)], signature)


def _list_config_content(config: Any, code: Mapping[str, str], directory: Path) -> list[Any]:
    return [str(directory.resolve()), _select_nodes(config), dict(code)]


def _list_code_content(start: Mapping[str, Any], diff: str) -> list[Any]:
    commits = [[checkout.get("root"), checkout.get("commit")] for checkout in start.get("git") or []]
    digest = hashlib.sha256(diff.encode("utf-8", "surrogatepass")).hexdigest()
    return ["code", start.get("directory"), commits, start.get("code"), digest]


def _select_nodes(config: Any) -> list[Any]:
    """Return the nodes that name code outside of the allow-list, each with its path."""
    return [[path, reduce(getitem, path, config)] for path, *_ in find_untrusted_nodes(config)]


def _sign(content: Any) -> str | None:
    try:
        key = _read_or_create_key()
    except (OSError, RuntimeError):
        return None
    return _compute_signature(key, content) if len(key) == KEY_BYTES else None


def _has_signature(content: Any, signature: Any) -> bool:
    try:
        key = _get_key_file().read_bytes()
    except (OSError, RuntimeError):
        return False
    if not isinstance(signature, str) or len(key) != KEY_BYTES:
        return False
    return hmac.compare_digest(signature.encode("utf-8", "replace"), _compute_signature(key, content).encode())


def _compute_signature(key: bytes, content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _get_key_file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(state, "trainer", "signature_key")


def _read_or_create_key() -> bytes:
    file = _get_key_file()
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        partial.touch(mode=0o600)
        partial.write_bytes(secrets.token_bytes(KEY_BYTES))
        try:
            os.link(partial, file)  # fails if another process was faster
        except FileExistsError:
            pass
        except OSError:  # the file system has no hard links
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
    return file.read_bytes()
