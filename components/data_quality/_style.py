"""The style sheet of the Data Docs: what GX's class names (Bootstrap's) need to look right, and no more."""

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --bad: #c0262d; --warn: #a15c00; --good: #1a7f37; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff7b72; --warn: #e3b341; --good: #56d364; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem; }
h1 { font-size: 1.6rem; margin: .2rem 0; } h4, h5, h6 { margin: .6rem 0; font-size: 1.05rem; }
a { color: inherit; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; }
td table { width: auto; font-size: .9rem; }
.alert, .card { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .5rem .8rem; }
.card { margin: .5rem 0; } .card-header { font-weight: 600; }
.nav { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem .8rem; }
.breadcrumb { display: none; }
.badge { background: var(--soft); border: 1px solid var(--line); border-radius: 4px; padding: 0 .3rem; }
td > .badge { white-space: nowrap; }
.card:has(.btn-group-toggle), p:has(> a[href*="collapse"]) { display: none; }
.badge.critical { color: var(--bad); } .badge.warning { color: var(--warn); }
.text-danger { color: var(--bad); } .text-success { color: var(--good); } .text-warning { color: var(--warn); }
.table-responsive, .show-scrollbars { overflow-x: auto; }
.verdict { border-left: 6px solid var(--good); padding: .2rem 1rem; margin-bottom: 1rem; }
.verdict.failed { border-color: var(--bad); }
@media print { .card { display: none; } }
"""
