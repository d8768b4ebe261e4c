"""Cache of dry runs, shared by jobs whose configs are equivalent. Imports no torch."""

from typing import Any

from trainer.config.diagnostics import Diagnostic

# "net": class; "parameters": number; "work": multiplications in a forward pass; "unused": settings without effect;
# "unfusable": why a sweep cannot train the network together with others, or None; "convolutions": whether it has some
Facts = dict[str, Any]

# by the relevant part of the config; a sweep passes it to the processes of its jobs, which have been checked by then
dry_run_results: dict[str, tuple[list[Diagnostic], Facts]] = {}
