"""The report's page: one HTML text with its style, its charts and Plotly itself inside; it loads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import Template

from engine.research.report.text import cell
from engine.research.report_style import FONT, Figure

__all__ = ["chart", "choices", "definitions", "marked_table", "page", "quiet", "section", "table", "tiles"]

LONG = 20
CSS = """
:root { color-scheme: light; --ink: #1f2933; --muted: #616e7c; --line: #e4e7eb; --blue: #2563a8; --red: #b3382c; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f6f8; color: var(--ink); font: 15px/1.5 $font; -webkit-text-size-adjust: 100%; }
main { max-width: 1240px; margin: 0 auto; padding: 28px 20px 48px;
  display: grid; gap: 18px; grid-template-columns: repeat(2, minmax(0, 1fr)); }
header, section { grid-column: 1 / -1; min-width: 0; }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px; }
section.half { grid-column: auto; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 6px; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 0 0 4px; font-weight: 650; }
p { margin: 0 0 8px; max-width: 92ch; }
.quiet, .quiet td { color: var(--muted); font-size: 13.5px; }
.tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); margin: 16px 0 0; }
.tile { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; min-width: 0; }
.tile b { display: block; font-size: 25px; line-height: 1.25; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile span { display: block; color: var(--muted); font-size: 13px; }
.tile .row { display: flex; justify-content: space-between; gap: 8px; font-variant-numeric: tabular-nums; }
.tile .row i { font-style: normal; white-space: nowrap; }
.tile .more { border-top: 1px solid var(--line); margin-top: 6px; padding-top: 6px; }
.scroll { overflow: auto; margin-top: 8px;
  background: linear-gradient(to right, #fff 40%, #fff0) local, linear-gradient(to left, #fff 40%, #fff0) local,
    linear-gradient(to right, #1f293340, #1f293300 12px) scroll,
    linear-gradient(to left, #1f293340, #1f293300 12px) scroll; }
.scroll.long { max-height: 500px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 10px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { position: sticky; top: 0; white-space: normal; vertical-align: bottom;
  background: #fff; color: var(--muted); font-weight: 600;
  box-shadow: inset 0 -1px var(--line); }
th:first-child, td:first-child { text-align: left; }
td.loss { color: var(--red); }
td.main { font-weight: 650; }
dl { display: grid; grid-template-columns: minmax(120px, max-content) minmax(0, 1fr); gap: 4px 18px;
  margin: 8px 0 0; font-size: 14px; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
.chart { width: 100%; }
.conclusion { font-size: 15.5px; margin: 4px 0 8px; }
.badge { display: inline-block; padding: 1px 9px; border-radius: 6px; border: 1.5px solid; font-size: 13px;
  letter-spacing: 0.04em; margin-right: 4px; }
.pass { color: #1f5a96; }
.fail { color: var(--red); }
td.pass, td.fail { font-weight: 650; }
td.words { white-space: normal; text-align: left; min-width: 260px; color: var(--muted); }
.choose { display: flex; flex-wrap: wrap; gap: 6px 18px; margin: 6px 0 0; font-size: 13.5px; color: var(--muted); }
.choose label { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; }
.choose select { font: inherit; color: var(--ink); background: #fff; border: 1px solid #cbd2d9; border-radius: 6px;
  padding: 3px 6px; max-width: 100%; }
.command { margin: 0; padding: 9px 12px; background: #f5f6f8; border-radius: 6px; font-size: 13px;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.months th, .months td { padding: 4px 6px; text-align: right; }
.months th:first-child, .months td:first-child { text-align: left; position: sticky; left: 0; background: #fff; }
.gain0 { background: #edf4fa; } .gain1 { background: #d9e8f4; } .gain2 { background: #b9d5ea; }
.gain3 { background: #93bcde; } .drop0 { background: #fbf0ee; } .drop1 { background: #f6dfdb; }
.drop2 { background: #eec5be; } .drop3 { background: #e2a298; }
@media (max-width: 860px) {
  main { grid-template-columns: minmax(0, 1fr); padding: 18px 12px 32px; gap: 12px; }
  section { padding: 14px 12px; }
  h1 { font-size: 21px; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; }
  .tile { padding: 10px; }
  .tile b { font-size: 20px; }
  table { font-size: 12.5px; }
  th, td { padding: 5px 6px; }
  td.words { min-width: 220px; }
  .months { font-size: 11.5px; }
  .months th, .months td { padding: 3px 4px; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dd { margin: 0 0 8px; }
}
@media (max-width: 620px) {
  .verdict, .verdict tbody { display: block; }
  .verdict thead { display: none; }
  .verdict tr { display: grid; grid-template-columns: minmax(0, 1fr) auto 44px; align-items: baseline;
    padding: 4px 0; border-bottom: 1px solid var(--line); }
  .verdict td { border: 0; padding: 2px 4px; white-space: normal; }
  .verdict td.words { grid-column: 1 / -1; min-width: 0; }
  .months { font-size: 9.5px; letter-spacing: -0.02em; }
  .months th, .months td { padding: 3px 1.5px; }
}
@media print { body { background: #fff; } .scroll { max-height: none; } section { break-inside: avoid; } }
"""

HTML = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$css</style>
</head>
<body>
<main>
$body
</main>
<script>$library</script>
<script>
const charts = $charts;
const touch = window.matchMedia("(pointer: coarse)").matches;
function draw(place) {
  const figure = charts[place.dataset.shown];
  if (touch) figure.layout.dragmode = false;
  Plotly.react(place, figure.data, figure.layout, {responsive: true, displayModeBar: false});
}
for (const place of document.querySelectorAll(".chart")) draw(place);
for (const chosen of document.querySelectorAll(".choose")) chosen.addEventListener("change", () => {
  const place = document.getElementById(chosen.dataset.chart);
  const picked = Array.from(chosen.querySelectorAll("select"), (one) => one.value);
  place.dataset.shown = [place.id, ...picked].join("-");
  draw(place);
});
</script>
</body>
</html>
""")


def page(title: str, body: Iterable[str], charts: dict[str, Figure]) -> str:
    """Return the whole page.

    Parameters
    ----------
    title : str
        Plain text.
    body : iterable of str
        HTML of the header and the sections, in their order.
    charts : dict of str to dict
        Figures by the id of their place in the body.
    """
    from plotly.io.json import to_json_plotly
    from plotly.offline import get_plotlyjs

    return HTML.substitute(
        title=cell(title),
        css=Template(CSS).substitute(font=FONT),
        body="\n".join(body),
        library=get_plotlyjs(),
        charts=to_json_plotly(checked(charts)),
    )


def checked(charts: dict[str, Figure]) -> dict[str, Figure]:
    """Return the figures as Plotly itself writes them, every name in them checked."""
    import plotly.graph_objects as go

    return {
        name: go.Figure(figure["data"], {"template": "none", **figure["layout"]}).to_dict()
        for name, figure in charts.items()
    }


def section(title: str, *parts: str, half: bool = False) -> str:
    """Return a section; ``half``: beside another one where there is room."""
    kind = ' class="half"' if half else ""
    return "\n".join([f"<section{kind}>", f"<h2>{cell(title)}</h2>", *parts, "</section>"])


def chart(name: str, height: int, shown: str | None = None) -> str:
    """Return the place of a chart, its height in pixels; it shows the figure of that name, or at first another."""
    return f'<div class="chart" id="{cell(name)}" data-shown="{cell(shown or name)}" style="height:{height}px"></div>'


def choices(name: str, menus: Iterable[tuple[str, Sequence[tuple[str, str]]]]) -> str:
    """Return menus that change what a chart shows: (label, (value, text) of each option).

    The chart then shows the figure called by the chart's name and the values chosen, hyphens between them.
    """
    out = []
    for label, options in menus:
        inner = "".join(f'<option value="{cell(value)}">{cell(text)}</option>' for value, text in options)
        out.append(f'<label>{cell(label)} <select autocomplete="off">{inner}</select></label>')
    return f'<div class="choose" data-chart="{cell(name)}">{"".join(out)}</div>'


def marked_table(rows: Iterable[tuple[tuple[str, bool], str, str, str]]) -> str:
    """Return a verdict's table: ((name, whether it counts), number, pass or fail or nothing, meaning) each."""
    out = []
    for (name, counts), number, said, meaning in rows:
        title = f"<b>{cell(name)}</b>" if counts else cell(name)
        mark = f' class="{said}"' if said else ""
        out.append(
            f'<tr><td>{title}</td><td class="main">{cell(number)}</td><td{mark}>{said}</td>'
            f'<td class="words">{cell(meaning)}</td></tr>'
        )
    head = '<tr><th>What</th><th>Value</th><th></th><th style="text-align:left">In plain words</th></tr>'
    body = "\n".join(out)
    return f'<div class="scroll"><table class="verdict"><thead>{head}</thead>\n<tbody>{body}</tbody></table></div>'


def quiet(text: str) -> str:
    """Return a sentence of explanation."""
    return f'<p class="quiet">{cell(text)}</p>'


def tiles(items: Iterable[tuple[str, str, Sequence[tuple[str, str]], Sequence[str]]]) -> str:
    """Return head tiles: (label, large figure, (name, figure) of those beside it, further lines) each."""
    out = []
    for label, large, beside, more in items:
        rows = "".join(f'<span class="row"><span>{cell(n)}</span><i>{cell(v)}</i></span>' for n, v in beside)
        lines = "".join(f"<span{' class=more' if k == 0 else ''}>{cell(text)}</span>" for k, text in enumerate(more))
        out.append(f'<div class="tile"><span>{cell(label)}</span><b>{cell(large)}</b>{rows}{lines}</div>')
    return f'<div class="tiles">{"".join(out)}</div>'


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], main: int | None = None, signs: Sequence[int] = ()
) -> str:
    """Return a table that scrolls in its own frame; a negative text in the columns ``signs`` is marked as a loss."""
    top = "".join(f"<th>{cell(name)}</th>" for name in head)

    def one(k: int, text: str) -> str:
        names = ["main"] * (k == main) + ["loss"] * (k in signs and text.startswith("\u2212"))
        kind = f' class="{" ".join(names)}"' if names else ""
        return f"<td{kind}>{cell(text)}</td>"

    lines = "\n".join(f"<tr>{''.join(one(k, text) for k, text in enumerate(row))}</tr>" for row in rows)
    frame = "scroll long" if len(rows) > LONG else "scroll"
    return f'<div class="{frame}"><table><thead><tr>{top}</tr></thead>\n<tbody>{lines}</tbody></table></div>'


def definitions(items: Iterable[tuple[str, str]]) -> str:
    """Return pairs of a name and what it is."""
    return f"<dl>{''.join(f'<dt>{cell(name)}</dt><dd>{cell(text)}</dd>' for name, text in items)}</dl>"
