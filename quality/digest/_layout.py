"""A digest as plain text, as an e-mail and as Slack's Block Kit."""

from __future__ import annotations

import html
from email.message import EmailMessage
from typing import Any

from components.formats import shorten
from quality.digest._digest import Digest, Item
from quality.history import Outcome
from spec.words import one_line, some_of

_SIGNS = {Outcome.FAILED: "✕", Outcome.WARNED: "!", Outcome.PASSED: "✓"}
_SLACK_SIGNS = {
    Outcome.FAILED: ":red_circle:",
    Outcome.WARNED: ":large_yellow_circle:",
    Outcome.PASSED: ":large_green_circle:",
}
# Slack refuses a message with more blocks, and a block with longer texts.
_MOST_BLOCKS, _MOST_HEADER, _MOST_SECTION = 50, 150, 3000
_FINDING = 300


def text(digest: Digest) -> str:
    """For a terminal, a log or a mail reader without HTML."""
    lines = [digest.title, ""]
    for item in digest.items:
        lines.append(f"{_SIGNS[item.outcome]} {item.workload}, {item.label} ({item.at}): {one_line(item.headline)}")
        lines += [f"    {finding.severity}: {one_line(finding.text)}" for finding in item.findings]
        lines += [f"    and {item.more:,} more"] if item.more else []
        lines += [f"    {_whom(item)}"] if item.owner else []
        lines += [f"    {item.url}"] if item.url else []
        lines.append("")
    lines += [f"Nothing new: {_quiet(digest)}", ""] if digest.quiet else []
    return "\n".join(lines)


def email(digest: Digest, sender: str, to: list[str]) -> EmailMessage:
    """A message in plain text and HTML; nothing in it is fetched from anywhere."""
    message = EmailMessage()
    message["Subject"] = shorten(one_line(f"Data quality: {digest.title}"), 200)
    message["From"], message["To"] = sender, ", ".join(to)
    message.set_content(text(digest))
    message.add_alternative(_html(digest), subtype="html")
    return message


def slack(digest: Digest) -> dict[str, Any]:
    """A message in Block Kit, which Mattermost and others read too, with a plain `text` for notifications."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": shorten(digest.title, _MOST_HEADER)}}
    ]
    room = _MOST_BLOCKS - 3
    blocks += [_section(_slack_item(item)) for item in digest.items[:room]]
    if hidden := len(digest.items) - room if len(digest.items) > room else 0:
        blocks.append(_section(f"and {hidden:,} more"))
    if digest.quiet:
        quiet = shorten(_escaped(f"Nothing new: {_quiet(digest)}"), _MOST_SECTION)
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": quiet}]})
    return {"text": _escaped(f"Data quality: {digest.title}"), "blocks": blocks}


def _slack_item(item: Item) -> str:
    name = f"<{_url(item.url)}|{_escaped(item.workload)}>" if item.url else _escaped(item.workload)
    lines = [f"{_SLACK_SIGNS[item.outcome]} *{name}* {_escaped(item.label)}, {item.at}: {_escaped(item.headline)}"]
    lines += [f"• {finding.severity}: {_escaped(shorten(finding.text, _FINDING))}" for finding in item.findings]
    lines += [f"and {item.more:,} more"] if item.more else []
    lines += [_escaped(_whom(item))] if item.owner else []
    return "\n".join(lines)


def _section(mrkdwn: str) -> dict[str, Any]:
    # Escaped before it is cut: cutting inside `&amp;` leaves a harmless `&am`.
    return {"type": "section", "text": {"type": "mrkdwn", "text": shorten(mrkdwn, _MOST_SECTION)}}


def _escaped(value: str) -> str:
    """Escapes Slack's three control characters: `<!channel>` in a data value must not notify anybody."""
    return one_line(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _url(url: str) -> str:
    return url.replace("&", "&amp;").replace("|", "%7C").replace(">", "%3E").replace("<", "%3C")


def _html(digest: Digest) -> str:
    parts = [f"<h1 style='font-size:1.2em'>{html.escape(digest.title)}</h1>"]
    for item in digest.items:
        name = html.escape(item.workload)
        name = f"<a href='{html.escape(item.url)}'>{name}</a>" if item.url else name
        parts.append(
            f"<p>{_SIGNS[item.outcome]} <b>{name}</b> {html.escape(item.label)}, {html.escape(item.at)}: "
            f"{html.escape(item.headline)}</p>"
        )
        rows = [f"<li>{html.escape(f.severity)}: {html.escape(shorten(f.text, _FINDING))}</li>" for f in item.findings]
        rows += [f"<li>and {item.more:,} more</li>"] if item.more else []
        parts.append(f"<ul>{''.join(rows)}</ul>" if rows else "")
        parts.append(f"<p>{html.escape(_whom(item))}</p>" if item.owner else "")
    parts.append(f"<p>{html.escape(f'Nothing new: {_quiet(digest)}')}</p>" if digest.quiet else "")
    return f"<!doctype html><html lang='en'><body>{''.join(parts)}</body></html>"


def _whom(item: Item) -> str:
    return f"{'To act' if item.outcome is Outcome.FAILED else 'To ask'}: {item.owner}"


def _quiet(digest: Digest) -> str:
    return some_of([f"{name} (last {at})" for name, at in digest.quiet], 10)
