"""The comment as a page: GitHub-flavoured Markdown in GitHub's width and colours, light and dark."""

import html
from pathlib import Path

from markdown_it import MarkdownIt

STYLE = """
:root { color-scheme: light dark; --text: #1f2328; --page: #fff; --line: #d1d9e0; --head: #f6f8fa; --code: #818b981f;
  --link: #0969da }
@media (prefers-color-scheme: dark) {
  :root { --text: #f0f6fc; --page: #0d1117; --line: #3d444d; --head: #151b23; --code: #656c7633;
    --link: #4493f8 }
}
body { margin: 24px auto; max-width: 900px; padding: 0 16px; color: var(--text); background: var(--page);
  font: 14px/1.5 -apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif }
article { border: 1px solid var(--line); border-radius: 6px }
header { padding: 8px 16px; background: var(--head); border-bottom: 1px solid var(--line); border-radius: 6px 6px 0 0 }
main { padding: 0 16px }
table { border-collapse: collapse; display: block; overflow: auto }
th, td { border: 1px solid var(--line); padding: 6px 13px; white-space: nowrap }
code { background: var(--code); border-radius: 6px; padding: .2em .4em; font-family: ui-monospace, monospace;
  font-size: 85% }
pre { background: var(--code); border-radius: 6px; padding: 16px; overflow: auto }
pre code { background: none; padding: 0 }
img { max-width: 100% } a { color: var(--link) } h3 { font-size: 1.25em }
"""


def write_page(path: Path, author: str, title: str, markdown: str) -> None:
    """Write a comment by `author` on the pull request `title` as a page that needs nothing else."""
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    path.write_text(
        f"<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<title>{html.escape(title)}</title>\n"
        f"<meta name=viewport content='width=device-width'>\n<style>{STYLE}</style>\n"
        f"<article><header><b>{html.escape(author)}</b> commented on <b>{html.escape(title)}</b></header>"
        f"<main>{body}</main></article>\n</html>\n",
        encoding="utf-8",
    )
