#!/usr/bin/env python3
"""Draws a dashboard's panels without Grafana: a page made by the report's own chart code from what Prometheus answers.

    charts/draw_panels.py PROMETHEUS DASHBOARD [--minutes N] [--set namespace=default --set job=NAME ...] > page.html

PROMETHEUS: its address, http://127.0.0.1:9090. DASHBOARD: a file of charts/splitft/dashboards.
"""

import argparse
import html
import json
import math
import re
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
POINTS = 120
FORMATS = {
    "s": "seconds", "bytes": "bytes", "Bps": "v => bytes(v) + '/s'",
    "percentunit": "v => (100 * v).toFixed(1) + ' %'", "none": "v => v.toPrecision(4)", "short": "short",
}


def chart_code() -> tuple[str, str]:
    """The report's style, and its functions up to where it draws its own figures."""
    page = (ROOT / "aggregator/report.html").read_text()
    style = page[page.index("<style>") : page.index("</style>")] + "</style>"
    code = page[page.index("const SVG =") : page.index("const steps = data.steps")]
    return style, code


def ask(prometheus: str, query: str, start: float, end: float) -> list[dict]:
    words = dict(query=query, start=start, end=end, step=max(1, (end - start) / POINTS))
    with urllib.request.urlopen(f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(words)}", timeout=30) as answer:
        return json.load(answer)["data"]["result"]


def lines(prometheus: str, panel: dict, variables: dict, start: float, end: float) -> list[dict]:
    found = []
    for target in panel["targets"]:
        query = re.sub(r"\$(\w+)", lambda match: variables[match[1]], target["expr"])
        for series in ask(prometheus, query, start, end):
            values = [(when - start, float(value)) for when, value in series["values"]]
            name = re.sub(r"{{(\w+)}}", lambda match: series["metric"].get(match[1], ""), target["legendFormat"])
            found.append(dict(name=name, x=[round(when, 1) for when, _ in values],
                              y=[value if math.isfinite(value) else None for _, value in values]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prometheus")
    parser.add_argument("dashboard", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    asked = parser.parse_args()
    variables = {"namespace": "default", "client": ".*", "__rate_interval": "15s"}
    variables |= dict(pair.split("=", 1) for pair in asked.set)
    board = json.loads(asked.dashboard.read_text())
    end = time.time()
    start = end - 60 * asked.minutes
    style, code = chart_code()
    cards, drawing = [], []
    for i, panel in enumerate(board["panels"]):
        unit = panel["fieldConfig"]["defaults"].get("unit", "short")
        cards.append(f'<section class="card"><h2>{html.escape(panel["title"])}</h2><div class="chart" id="p{i}"></div></section>')
        series = json.dumps(lines(asked.prometheus, panel, variables, start, end))
        shape = f"format: {FORMATS.get(unit, 'short')}, tick: {FORMATS.get(unit, 'short')}, axis: 'seconds'"
        drawing.append(f"lineChart('p{i}', {series}.map((s, i) => ({{...s, color: color(i), width: 1.8}})), "
                       f"{{label: {json.dumps(panel['title'])}, {shape}, fromZero: {'true' if unit != 'none' else 'false'}}});")
    print(f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(board["title"])}</title>{style}</head>'
          f'<body><main><header><div class="eyebrow">{html.escape(board["title"])}</div></header><div class="grid">'
          f'{"".join(cards)}</div></main><script>"use strict";(() => {{const data = {{}};\n{code}\n'
          f'{chr(10).join(drawing)}\n}})();</script></body></html>')


if __name__ == "__main__":
    main()
