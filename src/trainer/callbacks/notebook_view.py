"""Output of a notebook cell that is replaced in place, as `rich.live.Live` does in a terminal."""

import time
from collections.abc import Callable
from io import StringIO
from typing import Any

from rich.console import Console, RenderableType

SECONDS_BETWEEN_REFRESHES = 0.25
CODE_FORMAT = '<pre style="white-space: pre; overflow-x: auto; line-height: 1.3; font-family: monospace">{code}</pre>'


class NotebookView:
    """Output of a cell; it needs no extension of the notebook.

    Args:
        width: Characters per line.
        get_renderable: Function that returns the current content.
    """

    def __init__(self, width: int, get_renderable: Callable[[], RenderableType]) -> None:
        self._width = width
        self._get_renderable = get_renderable
        self._handle: Any = None
        self._next_refresh_at = 0.0

    def start(self) -> None:
        """Create the output below the running cell."""
        from IPython.display import display  # every kernel of a notebook has it

        self._handle = display(self._draw(), raw=True, display_id=True)

    def refresh(self) -> None:
        """Replace the content of the output by the current one, unless it was replaced a moment ago."""
        if time.monotonic() >= self._next_refresh_at:
            self._next_refresh_at = time.monotonic() + SECONDS_BETWEEN_REFRESHES
            self._handle.update(self._draw(), raw=True)

    def stop(self) -> None:
        """Draw the final content."""
        self._handle.update(self._draw(), raw=True)

    def _draw(self) -> dict[str, str]:
        """Return the content by MIME type."""
        console = Console(
            file=StringIO(),
            record=True,
            width=self._width,
            force_terminal=True,
            force_jupyter=False,
            color_system="256",
        )
        console.print(self._get_renderable())
        html = console.export_html(inline_styles=True, code_format=CODE_FORMAT, clear=False)
        return {"text/plain": console.export_text(), "text/html": html}
