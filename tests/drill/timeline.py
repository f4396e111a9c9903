"""The picture of a run: answers a second, latency and failed tries over time, with the fault marked; drawn as SVG."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from tests.drill.check import answered
from tests.drill.figures import percentile
from tests.drill.history import Event, operations

_WIDTH: Final = 900
_LEFT, _RIGHT = 70.0, 885.0
_PANEL, _GAP, _TOP = 120.0, 40.0, 92.0
_STYLE: Final = """
svg { background: #fff; font: 12px system-ui, sans-serif }
text { fill: #333 } .soft { fill: #666 } .axis { stroke: #ddd } .mark { stroke: #b00020; stroke-dasharray: 4 3 }
.marked { fill: #b00020 } .one { stroke: #0b6bcb; fill: none } .two { stroke: #c25e00; fill: none } .first { fill: #0b6bcb }
.second { fill: #c25e00 } .bad { fill: #b00020 }
@media (prefers-color-scheme: dark) {
  svg { background: #16181c } text { fill: #e6e6e6 } .soft { fill: #a0a0a0 } .axis { stroke: #3a3d44 }
  .mark { stroke: #ff6b7a } .marked, .bad { fill: #ff6b7a } .one { stroke: #6db3ff } .two { stroke: #ffb066 }
  .first { fill: #6db3ff } .second { fill: #ffb066 }
}
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment in seconds of the run, and what happened."""

    at: float
    words: str


@dataclass(frozen=True, slots=True)
class Series:
    """What a panel draws: a value for each second, one class of the style, and what it is called."""

    kind: str
    words: str
    values: dict[int, float]
    bars: bool = False


def draw(title: str, history: Iterable[Event], marks: Sequence[Mark]) -> str:
    """The picture as an SVG document."""
    panels = _panels(history)
    end = max([*(second + 1 for _, series in panels for each in series for second in each.values), 1])
    height = _TOP + len(panels) * (_PANEL + _GAP) + 10
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" role="img" aria-label="{escape(title)}">',
        f"<style>{_STYLE}</style>",
        f'<text x="{_LEFT:g}" y="20" font-size="15">{escape(title)}</text>',
    ]
    for number, (words, series) in enumerate(panels):
        body += _panel(_TOP + number * (_PANEL + _GAP), words, series, end)
    bottom = _TOP + len(panels) * (_PANEL + _GAP) - _GAP
    for number, mark in enumerate(marks):
        x, y = _across(mark.at, end), 36 + 12 * (number % 3)
        body.append(f'<line class="mark" x1="{x:g}" x2="{x:g}" y1="{y + 3}" y2="{bottom:g}"/>')
        anchor = "end" if x > 0.8 * _WIDTH else "start"
        body.append(f'<text class="marked" x="{x:g}" y="{y}" text-anchor="{anchor}">{escape(mark.words)}</text>')
    return "\n".join([*body, "</svg>\n"])


def _panels(history: Iterable[Event]) -> list[tuple[str, list[Series]]]:
    done: defaultdict[str, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
    waits: defaultdict[str, defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    tries: defaultdict[int, float] = defaultdict(float)
    lost: defaultdict[int, float] = defaultdict(float)
    for each in operations(history):
        if each.ended is None or each.asked.f == "look_up":
            continue
        what = "pay" if each.asked.f == "pay" else "read"
        if answered(each):
            done[what][int(each.ended.at)] += 1
            waits[what][int(each.asked.at)].append(each.ended.latency_ms or 0)
        else:
            lost[int(each.ended.at)] += 1
        for at, _, _, ms in each.ended.tries[: len(each.ended.tries) - answered(each)]:
            tries[int(at + ms / 1000)] += 1
    last = max([*done["pay"], *done["read"], 0])
    filled = {what: {second: done[what].get(second, 0.0) for second in range(last + 1)} for what in ("pay", "read")}
    p99 = {
        what: {second: percentile(found, 99) for second, found in sorted(waits[what].items())}
        for what in ("pay", "read")
    }
    return [
        ("answered a second", [Series("one", "payments", filled["pay"]), Series("two", "reads", filled["read"])]),
        ("slowest 1 % asked in that second, ms", [Series("one", "payments", p99["pay"]), Series("two", "reads", p99["read"])]),
        ("failed a second", [Series("second", "tries", dict(tries), bars=True), Series("bad", "given up", dict(lost), bars=True)]),
    ]  # fmt: skip


def _panel(top: float, words: str, series: Sequence[Series], end: int) -> list[str]:
    most = max([value for each in series for value in each.values.values()], default=0) or 1
    bottom = top + _PANEL
    body = [f'<text class="soft" x="{_LEFT:g}" y="{top - 6:g}">{escape(words)}</text>']
    for share in (0, 0.5, 1):
        y = bottom - share * _PANEL
        body.append(f'<line class="axis" x1="{_LEFT:g}" x2="{_RIGHT:g}" y1="{y:g}" y2="{y:g}"/>')
        body.append(f'<text class="soft" x="{_LEFT - 6:g}" y="{y + 4:g}" text-anchor="end">{share * most:,.4g}</text>')
    for second in range(0, end + 1, _step(end)):
        x = _across(second, end)
        body.append(f'<text class="soft" x="{x:g}" y="{bottom + 14:g}" text-anchor="middle">{second} s</text>')
    for number, each in enumerate(series):
        legend = {"one": "first", "two": "second"}.get(each.kind, each.kind)
        x = _RIGHT - 90 * (len(series) - number)
        body.append(f'<rect class="{legend}" x="{x:g}" y="{top - 15:g}" width="10" height="10"/>')
        body.append(f'<text x="{x + 15:g}" y="{top - 6:g}">{escape(each.words)}</text>')
        body += _bars(each, bottom, most, end) if each.bars else _line(each, bottom, most, end)
    return body


def _bars(series: Series, bottom: float, most: float, end: int) -> list[str]:
    width = max((_RIGHT - _LEFT) / end - 1, 1)
    return [
        f'<rect class="{series.kind}" x="{_across(second, end):g}" y="{bottom - value / most * _PANEL:.1f}" '
        f'width="{width:.1f}" height="{value / most * _PANEL:.1f}"><title>{second} s: {value:g} {series.words}</title></rect>'
        for second, value in sorted(series.values.items())
    ]


def _line(series: Series, bottom: float, most: float, end: int) -> list[str]:
    points = " ".join(
        f"{_across(second + 0.5, end):.1f},{bottom - value / most * _PANEL:.1f}"
        for second, value in sorted(series.values.items())
    )
    return [f'<polyline class="{series.kind}" stroke-width="1.5" points="{points}"/>']


def _across(second: float, end: int) -> float:
    return round(_LEFT + second / end * (_RIGHT - _LEFT), 1)


def _step(end: int) -> int:
    return next((step for step in (1, 2, 5, 10, 20, 30, 60) if end / step <= 12), 120)
