//! What pages look like: light and dark, wide and narrow, on paper.

/// The style sheet of every page.
pub const STYLE: &str = "
:root {
  color-scheme: light dark;
  --page: #fdfcfa; --ink: #1f1d1a; --soft: #625c54; --line: #ddd6cc; --panel: #f6f2ec; --link: #8a3b0c; --bad: #b3261e;
  --s0: #6b655c; --s1: #0067a8; --s2: #c2500a; --s3: #00795a; --s4: #a1458a; --s5: #7a6a00;
  --h1: #fbead6; --h2: #f8cf9f; --h3: #f2a55e; --h4: #c2470e; --on-h3: #1f1d1a; --on-h4: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #171513; --ink: #ece7df; --soft: #a89f93; --line: #3b362f; --panel: #201d1a; --link: #f2a366; --bad: #ff8a80;
    --s0: #a39a8d; --s1: #63b4ee; --s2: #f29a5c; --s3: #4cc9a0; --s4: #dd94c9; --s5: #cfbd4a;
    --h1: #35271a; --h2: #5a3a1b; --h3: #86501b; --h4: #e8853d; --on-h3: #ffffff; --on-h4: #171513;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 76rem; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word;
}
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
p { max-width: 46rem; margin: .5rem 0; }
a { color: var(--link); }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 1rem 0 0; padding: 0; list-style: none; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 1rem 0; }
dt { color: var(--soft); }
dd { margin: 0; min-width: 0; }
code, .map, .quote { font-family: ui-monospace, 'DejaVu Sans Mono', monospace; font-size: .85em; }
.soft, figcaption { color: var(--soft); }
.unknown { color: var(--soft); font-style: italic; }
.bad { color: var(--bad); font-weight: 600; }
.scroll { overflow-x: auto; max-width: 100%; }
.scroll:focus-visible { outline: 2px solid var(--link); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th { font-weight: 600; }
thead th { vertical-align: bottom; }
th[scope=row], .word { text-align: left; }
th[scope=row] { font-weight: 400; min-width: 5.5rem; position: sticky; left: 0; background: var(--page); }
td.word { overflow-wrap: anywhere; min-width: 7rem; }
details { margin: .75rem 0; }
summary { cursor: pointer; color: var(--link); }
figure { margin: 1rem 0 0; min-width: 0; }
figcaption { font-size: .9rem; }
.maps { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 0 1.5rem; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem 2rem; }
svg { display: block; width: 100%; height: auto; max-width: 40rem; }
svg text { font: 13px system-ui, sans-serif; fill: var(--ink); }
svg .soft { fill: var(--soft); }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .line { fill: none; stroke-width: 2; }
.s0 { --s: var(--s0); } .s1 { --s: var(--s1); } .s2 { --s: var(--s2); }
.s3 { --s: var(--s3); } .s4 { --s: var(--s4); } .s5 { --s: var(--s5); }
svg .line { stroke: var(--s); }
svg .fill { fill: var(--s); }
svg .line.s0 { stroke-width: 7; stroke-linejoin: round; opacity: .4; }
.key { display: flex; flex-wrap: wrap; gap: .1rem 1.25rem; margin: .25rem 0 0; padding: 0; list-style: none; font-size: .9rem; }
.key li::before {
  content: ''; display: inline-block; width: 1.2em; height: .25em; margin-right: .4em; vertical-align: .25em;
  background: var(--s);
}
.map { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.65; margin: .25rem 0 0; max-width: none; }
.map span { border-radius: 2px; }
.none { color: var(--soft); }
.h1 { background: var(--h1); } .h2 { background: var(--h2); }
.h3 { background: var(--h3); color: var(--on-h3); } .h4 { background: var(--h4); color: var(--on-h4); }
.off { text-decoration: underline 2px; text-underline-offset: 3px; }
.legend span { padding: 0 .4em; border-radius: 2px; white-space: nowrap; }
.worst { padding: 0; margin: .5rem 0; list-style: none; counter-reset: worst; }
.worst p { font-size: .85rem; margin: .25rem 0; max-width: none; }
.worst li { padding: .5rem 0; border-bottom: 1px solid var(--line); }
.quote { overflow-wrap: anywhere; margin: 0; max-width: none; }
.quote mark { background: var(--h4); color: var(--on-h4); border-radius: 2px; padding: 0 .1em; }
.bar { width: 100%; min-width: 5rem; max-width: 14rem; height: .7rem; }
.bar rect { fill: var(--panel); stroke: var(--line); }
.bar .fill { fill: var(--s1); stroke: none; }
.bar .over { fill: var(--bad); stroke: none; }
.bar line { stroke: var(--ink); stroke-width: 2; }
.boards th[scope=row] { max-width: 16rem; }
.boards td { text-align: left; min-width: 8.5rem; font-size: .85rem; }
.boards small { display: block; color: var(--soft); font-size: .8rem; }
@media (max-width: 40rem) {
  body { padding: 1rem .75rem 3rem; }
  h1 { font-size: 1.4rem; }
  dl { grid-template-columns: 1fr; }
  dt { margin-top: .4rem; font-size: .85rem; }
  th, td { padding-right: .5rem; }
  table { font-size: .85rem; }
}
@media print { details:not([open]) { display: none; } figure, li, tr { break-inside: avoid; } }
";
