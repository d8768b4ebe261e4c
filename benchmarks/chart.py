"""Line charts side by side as SVG, written by hand: no drawing library is needed."""

from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT, GAP, TOP, BOTTOM, LEFT = 190, 170, 18, 58, 44, 58  # pixels
COLOURS = ("#2563eb", "#9ca3af", "#d97706", "#059669")


@dataclass(frozen=True)
class Panel:
    """A chart: values of each line over labels from left to right."""

    title: str
    labels: list[str]
    lines: dict[str, list[float]]


def draw(panels: list[Panel], title: str) -> str:
    """The panels, on one logarithmic axis from top to bottom."""
    values = [value for panel in panels for line in panel.lines.values() for value in line]
    low, high = floor(log10(min(values))), max(ceil(log10(max(values))), floor(log10(min(values))) + 1)

    def height_of(value: float) -> float:
        return TOP + HEIGHT * (high - log10(value)) / (high - low)

    across = LEFT + len(panels) * (WIDTH + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across} {TOP + HEIGHT + BOTTOM}" '
        'font-family="sans-serif" font-size="11" fill="#374151">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="10" y="18" font-size="14">{title}</text>',
    ]
    for place, name in enumerate(panels[0].lines):
        parts.append(f'<text x="{240 + 80 * place}" y="18" fill="{COLOURS[place]}">&#9644; {name}</text>')
    for power in range(low, high + 1):
        y = height_of(10**power)
        parts.append(f'<line x1="{LEFT}" x2="{across - GAP}" y1="{y}" y2="{y}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{10**power:,}</text>')
    for place, panel in enumerate(panels):
        parts += _panel(panel, LEFT + place * (WIDTH + GAP), height_of)
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, left: float, height_of) -> list[str]:
    """One chart, whose left edge is given."""
    count = len(panel.labels)
    across = [left + WIDTH * (place + 0.5) / count for place in range(count)]
    parts = [f'<text x="{left + WIDTH / 2}" y="{TOP - 10}" text-anchor="middle" font-size="12">{panel.title}</text>']
    for x, label in zip(across, panel.labels, strict=True):
        parts.append(f'<text x="{x}" y="{TOP + HEIGHT + 16}" text-anchor="middle" font-size="9">{label}</text>')
    for colour, line in zip(COLOURS, panel.lines.values(), strict=False):
        points = [(x, height_of(value)) for x, value in zip(across, line, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    return parts
