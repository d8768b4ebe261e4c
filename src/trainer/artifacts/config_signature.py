"""Signature of the code that a config names, by which the user's own runs are recognized.

A run signs the nodes of its config that name code outside of the allow-list, their arguments, the hashes of the
imported files and its working directory, with a key that only this user can read. A run directory or a checkpoint from
elsewhere has no valid signature, and neither has one whose nodes or files were changed. See
`trainer.config.target_allowlist`.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.config.target_allowlist import find_untrusted_targets

KEY_BYTES = 32


def sign_config(config: Any, code: Mapping[str, str]) -> str | None:
    """Return the signature of a config that the user starts in the current working directory.

    Args:
        config: Config of plain containers.
        code: Hashes of the imported files by name.

    Returns:
        str | None: None if all code is allowed, or if the key cannot be created, e.g. without a home directory.
    """
    nodes = _select_nodes(config)
    if not nodes:
        return None
    try:
        key = _read_or_create_key()
    except (OSError, RuntimeError):
        return None
    return _compute_signature(key, nodes, code, Path.cwd()) if len(key) == KEY_BYTES else None


def is_signed(config: Any, record: Mapping[str, Any], directory: Path) -> bool:
    """Return whether this user has started a config in a working directory.

    Args:
        config: Config of plain containers.
        record: Recorded start or provenance of a checkpoint, with `code` and `signature`.
        directory: Working directory.
    """
    signature = record.get("signature")
    code = record.get("code")
    if not isinstance(signature, str) or not isinstance(code, Mapping):
        return False
    if Path(record.get("directory", directory)).resolve() != directory.resolve():
        return False
    try:
        key = _get_key_file().read_bytes()
    except (OSError, RuntimeError):
        return False
    expected = _compute_signature(key, _select_nodes(config), code, directory)
    return len(key) == KEY_BYTES and hmac.compare_digest(signature.encode(), expected.encode())


def _select_nodes(config: Any) -> dict[str, Any]:
    """Return the nodes that name code outside of the allow-list by key."""
    return {key: _select(config, key) for key, *_ in find_untrusted_targets(config)}


def _compute_signature(key: bytes, nodes: dict[str, Any], code: Mapping[str, str], directory: Path) -> str:
    content = json.dumps([str(directory.resolve()), nodes, dict(code)], sort_keys=True, default=str)
    return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()


def _select(config: Any, key: str) -> Any:
    """Return the value of a key such as `data.train` or `callbacks[0]`."""
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", key):
        config = config[name] if name else config[int(index)]
    return config


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
        finally:
            partial.unlink()
    return file.read_bytes()
