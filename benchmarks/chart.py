"""SVG line charts in a row, without a plotting library."""

from dataclasses import dataclass
from math import ceil, floor, log10

# pixels
WIDTH = 190
HEIGHT = 170
GAP = 18
TOP = 58
BOTTOM = 44
LEFT_MARGIN = 58
COLORS = ("#2563eb", "#9ca3af", "#d97706", "#059669")


@dataclass(frozen=True)
class Panel:
    """A chart: the values of each line over labels from left to right."""

    title: str
    labels: list[str]
    lines: dict[str, list[float]]  # by name; a single line may have an empty one


def draw(panels: list[Panel], title: str) -> str:
    """Return the panels as SVG, with one logarithmic y axis."""
    values = [value for panel in panels for line in panel.lines.values() for value in line]
    low = floor(log10(min(values)))
    high = max(ceil(log10(max(values))), low + 1)

    def to_y(value: float) -> float:
        return TOP + HEIGHT * (high - log10(value)) / (high - low)

    width = LEFT_MARGIN + len(panels) * (WIDTH + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + HEIGHT + BOTTOM}" '
        'font-family="sans-serif" font-size="11" fill="#374151">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="10" y="18" font-size="14">{title}</text>',
    ]
    for index, name in enumerate(panels[0].lines):
        if name:
            parts.append(f'<text x="{240 + 80 * index}" y="18" fill="{COLORS[index]}">&#9644; {name}</text>')
    for power in range(low, high + 1):
        y = to_y(10**power)
        parts.append(f'<line x1="{LEFT_MARGIN}" x2="{width - GAP}" y1="{y}" y2="{y}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{LEFT_MARGIN - 8}" y="{y + 4}" text-anchor="end">{10**power:,}</text>')
    for index, panel in enumerate(panels):
        parts += _draw_panel(panel, LEFT_MARGIN + index * (WIDTH + GAP), to_y)
    return "\n".join([*parts, "</svg>", ""])


def _draw_panel(panel: Panel, x_offset: float, to_y) -> list[str]:
    count = len(panel.labels)
    xs = [x_offset + WIDTH * (index + 0.5) / count for index in range(count)]
    parts = [
        f'<text x="{x_offset + WIDTH / 2}" y="{TOP - 10}" text-anchor="middle" font-size="12">{panel.title}</text>'
    ]
    for x, label in zip(xs, panel.labels, strict=True):
        parts.append(f'<text x="{x}" y="{TOP + HEIGHT + 16}" text-anchor="middle" font-size="9">{label}</text>')
    for color, line in zip(COLORS, panel.lines.values(), strict=False):
        points = [(x, to_y(value)) for x, value in zip(xs, line, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in points]
    return parts
