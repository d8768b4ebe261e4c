"""Check for systems that cannot stop a process together with the processes that it has started."""

import sys

from trainer.core.errors import UserError


def require_process_groups(key: str, expected: str) -> None:
    """Raise an error on Windows, which has neither process groups nor signals for them.

    Args:
        key: Key of the config that asks for several processes.
        expected: Value with which one process is enough.

    Raises:
        UserError: This is Windows.
    """
    if sys.platform == "win32":
        raise UserError(
            f"{key}: several processes need Linux or macOS; expected {expected}\n"
            "  or use the Windows Subsystem for Linux"
        )
