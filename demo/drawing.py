"""A small picture in SVG, as text. It has a background of its own, so that it can be read on any page."""

from __future__ import annotations

from collections import defaultdict
from xml.sax.saxutils import escape

STYLE = """
    .paper { fill: #ffffff; stroke: #e3e6ea } .done { fill: #1f5f99 } .begun { fill: #9cc3e6 }
    .missing { fill: #ffffff; stroke: #c8641e; stroke-width: 1.4 }
    text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; fill: #2b3440 }
    .title { font-size: 19px; font-weight: 650; fill: #14202b } .subtitle { font-size: 13px; fill: #5a6673 }
    .strong { font-size: 14px; font-weight: 600 } .name { font-size: 13px } .label { font-size: 11px }
    .figure { font-size: 12.5px; font-weight: 600; font-variant-numeric: tabular-nums }
    .quiet { font-size: 11.5px; font-weight: 400; fill: #5a6673 } .end { text-anchor: end }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #161b22; stroke: #2d343d } .done { fill: #5aa2e0 } .begun { fill: #34618c }
      .missing { fill: #161b22; stroke: #e5924f }
      text { fill: #d3dae2 } .title { fill: #f2f5f8 } .subtitle, .quiet { fill: #97a3b0 }
    }
"""


class Drawing:
    """Collects shapes, those of one class in one path, and writes them in the order in which classes came.

    :param width: in pixels, as all lengths.
    """

    def __init__(self, *, width: int, height: int, title: str, subtitle: str) -> None:
        self.width, self.height = width, height
        self._title, self._subtitle = title, subtitle
        self._paths: dict[str, list[str]] = defaultdict(list)
        self._texts: list[str] = []
        self.text(32, 42, title, "title")
        self.text(32, 64, subtitle, "subtitle")

    def text(self, x: float, y: float, words: str, kind: str, *, aside: str = "") -> None:
        """Write words; ``y`` is their base line. An aside follows them, not as loud."""
        quiet = f'<tspan dx="10" class="quiet">{escape(aside)}</tspan>' if aside else ""
        self._texts.append(f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(words)}{quiet}</text>')

    def bar(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """Draw a rectangle; nothing where it has no width. The line of an outlined one stays inside."""
        inset = 0.7 if kind == "missing" else 0
        if width > 0:
            across = width - 2 * inset
            down = height - 2 * inset
            self._paths[kind].append(f"M{x + inset:g} {y + inset:g}h{across:g}v{down:g}h{-across:g}z")

    def svg(self) -> str:
        """Return the picture."""
        paths = [f'<path class="{kind}" d="{"".join(pieces)}"/>' for kind, pieces in self._paths.items()]
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}"'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title subtitle">',
                f'<title id="title">{escape(self._title)}</title>',
                f'<desc id="subtitle">{escape(self._subtitle)}</desc>',
                f"<style>{STYLE}</style>",
                f'<rect class="paper" x="0.5" y="0.5" width="{self.width - 1}" height="{self.height - 1}" rx="10"/>',
                *paths,
                *self._texts,
                "</svg>",
                "",
            ]
        )
