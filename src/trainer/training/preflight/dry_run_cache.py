"""Memory: what rehearsals have found, so that jobs that are alike need one. Imports no torch."""

from typing import Any

from trainer.config.diagnostics import Mistake

Facts = dict[str, Any]

# by what configs have in common; a sweep hands it to the processes of its jobs, which it has checked before the first
rehearsed: dict[str, tuple[list[Mistake], Facts]] = {}
