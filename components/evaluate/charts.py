"""Line charts as SVG text, small enough to sit in a page by the dozen."""

import math
from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 320, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 10, 24
_POINTS = 200


def line_chart(steps: Sequence[float], values: Sequence[float], label: str) -> Markup:
    """A chart of `values` over `steps`; points that are not finite are left out.

    Args:
        steps: (N,) rising.
        values: (N,).
        label: what the values are, for screen readers.
    """
    points = [(x, y) for x, y in zip(steps, values, strict=True) if math.isfinite(y)]
    if not points:
        return Markup('<p class="soft">no values</p>')
    points = _thinned(points)
    (first, *_), (last, *_) = points[0], points[-1]
    ticks = _ticks(min(y for _, y in points), max(y for _, y in points))
    low, high = ticks[0], ticks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - first) / (last - first) if last > first else 0.5
        up = (y - low) / (high - low)
        return (
            round(_LEFT + across * (WIDTH - _LEFT - _RIGHT), 1),
            round(HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM), 1),
        )

    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{Markup.escape(label)}">']
    for tick in ticks:
        _, y = place(first, tick)
        parts.append(f'<line class="grid-line" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{tick:g}</text>')
    parts.append(f'<text x="{_LEFT}" y="{HEIGHT - 6}">{first:g}</text>')
    parts.append(f'<text x="{WIDTH - _RIGHT}" y="{HEIGHT - 6}" text-anchor="end">step {last:g}</text>')
    line = " ".join("{},{}".format(*place(x, y)) for x, y in points)
    parts.append(f'<polyline points="{line}"><title>last: {points[-1][1]:.4g}</title></polyline></svg>')
    return Markup("".join(parts))


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `_POINTS` points: means of neighbors."""
    if len(points) <= _POINTS:
        return points
    size = math.ceil(len(points) / _POINTS)
    chunks = [points[i : i + size] for i in range(0, len(points), size)]
    return [(chunk[-1][0], sum(y for _, y in chunk) / len(chunk)) for chunk in chunks]


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers that span the values."""
    if high <= low:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    rough = (high - low) / 3
    power = 10 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= rough)
    start = math.floor(low / step)
    stop = math.ceil(high / step)
    return [round(n * step, 10) for n in range(start, stop + 1)]
