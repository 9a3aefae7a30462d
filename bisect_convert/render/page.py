"""The frame and the looks of the HTML page."""

from __future__ import annotations

from html import escape

from bisect_convert.render.drawing import STYLE

__all__ = ["page"]

_CSS = """
:root{color-scheme:light dark;--paper:#f4f5f7;--card:#fff;--ink:#1f2328;--dim:#667085;--rule:#e3e6ea;--code:#f0f2f5;
--bad:#c4320a;--bad-soft:#fff1eb;--good:#067647;--good-soft:#e7f8ef;--warn:#93590a;--warn-soft:#fdf3dc;--link:#175cd3}
@media(prefers-color-scheme:dark){:root{--paper:#111317;--card:#181b20;--ink:#e6e8eb;--dim:#98a2b3;--rule:#2b3038;
--code:#23272e;--bad:#ff8f66;--bad-soft:#3a2119;--good:#5bd69a;--good-soft:#123526;--warn:#f0bd5c;--warn-soft:#3a2c10;
--link:#84adff}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1180px;margin:0 auto;padding:40px 24px 56px;overflow-wrap:break-word}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.87em}
code{background:var(--code);border-radius:4px;padding:.12em .35em;overflow-wrap:anywhere}
pre{background:var(--code);border-radius:8px;padding:12px 14px;overflow:auto;line-height:1.45;margin:8px 0 0;
max-height:28em}
h1{font-size:20px;line-height:1.35;margin:12px 0 4px}h1 code{background:none;padding:0;font-size:1em}
h2{font-size:17px;line-height:1.4;margin:0 0 18px}
h3{font-size:12px;letter-spacing:.05em;text-transform:uppercase;color:var(--dim);margin:22px 0 6px}
p{margin:6px 0}a{color:var(--link)}
.lead{font-size:16px}
.verdict{display:inline-block;padding:3px 12px;border-radius:99px;font-weight:600;font-size:13px}
.verdict.fails{background:var(--bad-soft);color:var(--bad)}
.verdict.converts{background:var(--good-soft);color:var(--good)}
.verdict.inconclusive{background:var(--warn-soft);color:var(--warn)}
.facts{list-style:none;display:flex;flex-wrap:wrap;gap:2px 20px;padding:0;margin:10px 0 20px;color:var(--dim);
font-size:13.5px}
.note{background:var(--warn-soft);border-radius:8px;padding:9px 14px}.note b{color:var(--warn);margin-right:4px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px}
th{text-align:left;font-weight:600;color:var(--dim);font-size:12px}
th,td{padding:8px 12px;border-bottom:1px solid var(--rule);vertical-align:top}
.overview td:nth-child(4){min-width:16em}.facts li{min-width:0;overflow-wrap:anywhere}
tbody tr:last-child td{border-bottom:0}
.overview,.finding,.journal,.known{background:var(--card);border:1px solid var(--rule);border-radius:12px}
.overview{border-collapse:separate;border-spacing:0;margin:16px 0 0}.overview td:first-child{font-weight:600}
.known{padding:12px 14px 12px 32px}
.finding{padding:24px 26px 26px;margin-top:22px}
.number{display:inline-block;min-width:1.75em;text-align:center;border-radius:99px;background:var(--bad-soft);color:var(--bad);
font-size:14px;margin-right:8px;padding:1px 0}
.stage{display:inline-block;font:600 12px/1.5 ui-monospace,SFMono-Regular,Menlo,monospace;color:var(--bad);
border:1px solid currentColor;border-radius:6px;padding:0 7px;margin-right:4px;white-space:nowrap}
.columns{display:grid;grid-template-columns:minmax(0,1.15fr) minmax(0,1fr);gap:8px 36px;align-items:start}
.columns.one{grid-template-columns:minmax(0,1fr)}
@media(max-width:860px){.columns{grid-template-columns:minmax(0,1fr)}main{padding:24px 14px}.finding{padding:18px}}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:5px 16px;margin:0 0 14px}
dt{color:var(--dim);font-size:13.5px}dd{margin:0}
code.culprit{background:var(--bad-soft);color:var(--bad);font-weight:600}
code.dim{background:none;color:var(--dim)}
.place{list-style:none;padding:9px 14px;margin:0;border-left:3px solid var(--rule)}
details summary{cursor:pointer;overflow-wrap:anywhere}
.error summary b{font-weight:600}
.others{margin-top:18px}.others ul{margin:6px 0;padding-left:22px}
.remedies{list-style:none;padding:0;margin:0}.remedies li{margin:8px 0}
.badge{display:inline-block;font-size:11.5px;font-weight:600;border-radius:99px;padding:1px 9px;margin-right:4px;
background:var(--code);color:var(--dim)}
.badge.good{background:var(--good-soft);color:var(--good)}
.next{color:var(--dim);margin-top:18px;overflow-wrap:anywhere}
figure{margin:0 0 18px;border:1px solid var(--rule);border-radius:10px;overflow:hidden}
figure .scroll{display:flex;justify-content:safe center;padding:6px}
figcaption{border-top:1px solid var(--rule);padding:9px 14px;font-size:13px;color:var(--dim)}
figcaption b{color:var(--ink);margin-right:6px}
.journal{margin-top:22px;padding:12px 18px}.journal .fails td:nth-child(4){color:var(--bad)}
.journal .converts td:nth-child(4){color:var(--good)}.journal .unresolved td:nth-child(4){color:var(--warn)}
footer{margin-top:26px;color:var(--dim);font-size:13.5px}footer p:first-child{color:var(--ink)}
@media print{body{background:none}.finding{break-inside:avoid}}
"""


def page(title: str, body: str) -> str:
    """Return the page; `title` and `body` are markup already."""
    return f"""<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width,initial-scale=1"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<title>{title}</title>
<style>{escape(_CSS + STYLE, quote=False)}</style>
</head>
<body><main>
{body}
</main></body>
</html>
"""
