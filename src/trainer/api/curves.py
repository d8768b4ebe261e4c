"""Curves of a run or of a sweep that a notebook shows."""

from collections.abc import Mapping, Sequence
from html import escape

from trainer.core.errors import UserError, suggest_names
from trainer.reports.document import Chart
from trainer.reports.svg_charts import NUM_COLORS

# readable on light and dark backgrounds; notebooks do not define the CSS variables of reports
COLORS = ("#1f77b4", "#d9700a", "#2a8f2a", "#c62828", "#8458b3", "#7a5146", "#c2549b", "#0f95a6")
DIM_COLOR = "#808080"
VARIABLES = {"--ink": "currentColor", "--line": "#80808055", "--dim": DIM_COLOR} | {
    f"--c{index}": COLORS[index] for index in range(NUM_COLORS)
}


class Curves:
    """Line charts, which a notebook shows if they are the last value of a cell, or by `display`.

    Args:
        source: Directory that the values are read from.
        charts: All charts, by name.
        names: Names of the charts to show.

    Raises:
        UserError: There is no chart of a name.
    """

    def __init__(self, source: str, charts: Mapping[str, Chart], names: Sequence[str]) -> None:
        for name in names:
            if name not in charts:
                reason = suggest_names(name, [*charts]) or "no curves were logged"
                raise UserError(f"plot: no curve '{name}'; {reason}")
        self.source = source
        self.charts = [charts[name] for name in names]

    def __repr__(self) -> str:
        """Return the names of the curves."""
        names = ", ".join(chart.title for chart in self.charts)
        return f"<Curves of '{self.source}': {names or 'none'}; a notebook draws them, and so does report()>"

    def _repr_html_(self) -> str:
        """Return the charts as SVG, which needs no further files."""
        figures = "".join(map(_draw_figure, self.charts)) or "no curves were logged"
        return f'<div style="display: flex; flex-wrap: wrap; gap: 1em">{figures}</div>'


def _draw_figure(chart: Chart) -> str:
    svg = chart.svg.replace("<svg ", '<svg width="420" ', 1)
    for variable, color in VARIABLES.items():
        svg = svg.replace(f"var({variable})", color)
    return f"<div><b>{escape(chart.title)}</b> {' '.join(_draw_label(*item) for item in chart.legend)}<br>{svg}</div>"


def _draw_label(name: str, color: int | None) -> str:
    return f'<span style="color: {DIM_COLOR if color is None else COLORS[color]}">&#9644; {escape(name)}</span>'
