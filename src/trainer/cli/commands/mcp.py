"""Start a server of the Model Context Protocol, through which a coding agent lists, checks and compares.

trainer mcp [DIRECTORY]

DIRECTORY  working directory of all tools; by default the current one. Its conf, experiments and outputs are used.

The server reads requests from standard input and writes answers to standard output; it stops at the end of the input.
Its tools are list, describe, check, explain, runs, compare and report; each returns what the command of that name
prints with --json. No tool trains, deletes, or runs code of yours: check refuses a config that names other code than
the trusted packages and those in TRAINER_TRUST. Only report writes a file, in a run directory below DIRECTORY.
It requires the extra mcp.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from trainer import __version__
from trainer.cli.commands import parse_arguments
from trainer.core.errors import UserError
from trainer.core.installation import format_install_command

if TYPE_CHECKING:  # an extra
    from mcp.server import MCPServer

TIMEOUT_SECONDS = 300.0  # of a tool
INSTRUCTIONS = (
    "Configs of PyTorch trainings. A run is described by overrides such as experiment=digits_cnn optimizer.lr=0.01. "
    "Check a command line here; to train, run `trainer OVERRIDES` in a shell."
)
# options, Hydra's own settings such as search paths, and interpolations, which may read environment variables
FORBIDDEN_PATTERN = re.compile(r"\s*-|\s*[+~]*hydra\b|.*\$\{", re.DOTALL)


def main(argv: list[str]) -> int:
    """Serve until the input ends; the exit status is 0."""
    args = parse_arguments("mcp", argv, "directory?")
    directory = Path(args.directory or ".").absolute()
    if not directory.is_dir():
        raise UserError(f"mcp: no directory '{directory}'")
    build_server(directory).run()
    return 0


def build_server(directory: Path) -> "MCPServer":
    """Return the server with its tools.

    Args:
        directory: Working directory of all tools.

    Raises:
        UserError: The package `mcp` is not installed.
    """
    try:
        from mcp.server import MCPServer
        from mcp_types import ToolAnnotations
    except ImportError:
        raise UserError(f"mcp: the package 'mcp' is missing; {format_install_command('mcp')}") from None
    server: MCPServer = MCPServer("trainer", instructions=INSTRUCTIONS, version=__version__, log_level="WARNING")
    tools = Tools(directory)
    for tool in (tools.list, tools.describe, tools.check, tools.explain, tools.runs, tools.compare, tools.report):
        is_read_only = tool != tools.report
        hints = ToolAnnotations(read_only_hint=is_read_only, destructive_hint=False, idempotent_hint=True)
        server.add_tool(tool, annotations=hints, structured_output=False)
    return server


class Tools:
    """Tools of the server; each runs a command in a process of its own and returns its JSON.

    Args:
        directory: Working directory.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    async def list(self, groups: Sequence[str] = ()) -> str:
        """List the config groups and their options with a summary each.

        Args:
            groups: Names of groups, such as model or data. Defaults to all.
        """
        return await self._run(["list", *groups])

    async def describe(self, name: str) -> str:
        """Describe an option of a config group, or any class or function, with all fields that can be set.

        Args:
            name: GROUP/OPTION such as model/cnn or experiment/digits_cnn, or a dotted path such as torch.optim.SGD.
        """
        return await self._run(["describe", name])

    async def check(self, overrides: Sequence[str], sweep: bool = False) -> str:
        """Check a run or a sweep for errors without running it; the answer names key, file, line and a suggestion.

        Args:
            overrides: Arguments of `trainer`, such as experiment=mnist_cnn and optimizer.lr=0.01.
            sweep: Whether to check every combination of comma-separated values, such as seed=1,2.
        """
        return await self._run(["check", *overrides], ["--trusted-only", *(["--multirun"] if sweep else [])])

    async def explain(self, key: str, overrides: Sequence[str] = ()) -> str:
        """Explain a value of the config: every file and override that sets it, the effective one last.

        Args:
            key: Dotted key such as optimizer.lr, or a group such as optimizer.
            overrides: Arguments of `trainer`.
        """
        return await self._run(["explain", key, *overrides])

    async def runs(self, filters: Sequence[str] = (), sort: str | None = None) -> str:
        """List runs with their overrides, states and results.

        Args:
            filters: Directories, and conditions such as state=finished or test/accuracy>0.99. Defaults to outputs.
            sort: Metric or column by which to sort; with a leading - in descending order.
        """
        return await self._run(["runs", *filters], [f"--sort={sort}"] if sort else [])

    async def compare(self, first: str, second: str) -> str:
        """Compare config, code, data, machine and results of two runs.

        Args:
            first: Run directory.
            second: Run directory.
        """
        return await self._run(["compare", first, second])

    async def report(
        self,
        directory: str,
        metric: str | None = None,
        baseline: str | None = None,
        direction: Literal["min", "max"] | None = None,
        markdown: bool = False,
    ) -> str:
        """Write a report of a run, or of all runs in a directory, into that directory: report.html or page.md.

        Args:
            directory: Run directory or directory of runs below the working directory.
            metric: Metric by which several runs are compared.
            baseline: Overrides of the group of runs with which the others are compared.
            direction: Whether small or large values of the metric are good.
            markdown: Whether to write Markdown instead of HTML.
        """
        from mcp.server.mcpserver.exceptions import ToolError

        if not (self.directory / directory).resolve().is_relative_to(self.directory.resolve()):
            raise ToolError(f"'{directory}' is outside of '{self.directory}'; expected a directory below it")
        values = {"metric": metric, "baseline": baseline, "direction": direction}
        options = [f"--{name}={value}" for name, value in values.items() if value]
        return await self._run(["report", directory], [*options, *(["--markdown"] if markdown else [])])

    async def _run(self, arguments: Sequence[str], options: Sequence[str] = ()) -> str:
        """Return the JSON that a command prints.

        Args:
            arguments: Command and its values.
            options: Options of the command.

        Raises:
            ToolError: A value is not allowed, or the command failed or took too long.
        """
        import anyio
        from mcp.server.mcpserver.exceptions import ToolError

        for value in arguments:
            if FORBIDDEN_PATTERN.match(value):
                raise ToolError(f"'{value}': options, settings of Hydra and interpolations are not allowed")
        # -P: modules in the working directory replace none of Python
        command = [sys.executable, "-P", "-m", "trainer", *arguments, *options, "--json"]
        try:
            with anyio.fail_after(TIMEOUT_SECONDS):
                result = await anyio.run_process(command, stdin=subprocess.DEVNULL, check=False, cwd=self.directory)
        except TimeoutError:
            raise ToolError(f"{arguments[0]}: stopped after {TIMEOUT_SECONDS:.0f} seconds") from None
        if not result.stdout:
            raise ToolError(result.stderr.decode(errors="replace").strip().removeprefix("error: "))
        return result.stdout.decode()
