"""Merges a new draft into an existing suite: drafted expectations are replaced, what a person wrote or changed is kept.

A drafted expectation carries `meta.rule`, which identifies it, and `meta.drafted`, a fingerprint of its drafted form: where
the two no longer agree, a person has changed it. Rules that were drafted and are no longer there were taken out by a person.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from quality.contracts._rules import Expectation

_FORM = ("type", "kwargs", "severity", "notes")


@dataclasses.dataclass(frozen=True)
class Change:
    """One difference between a suite and its new draft.

    Attributes:
        kind: `added`, `removed`, `changed`; or `kept`: a draft would change it, but a person's form is kept.
        what: the expectation, by rule or by type and columns.
        was: if it changed, the form before; JSON-serialisable.
        why: in words, for what was kept.
    """

    kind: str
    what: str
    was: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    now: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    why: str = ""


def merge(
    suite: Mapping[str, Any] | None, drafted: Sequence[Expectation], name: str
) -> tuple[dict[str, Any], list[Change]]:
    """The suite merged with a new draft, and the changes.

    Args:
        suite: as it stands in its file; None: there is none.
    """
    before = dict(suite or {"name": name, "expectations": []})
    meta = dict(before.get("meta") or {})
    known = set(meta.get("drafted_rules") or [])
    fresh = {one["meta"]["rule"]: {**one, "meta": {**one["meta"], "drafted": fingerprint(one)}} for one in drafted}
    there = {(one.get("meta") or {}).get("rule") for one in before["expectations"]}
    spoken_of = {_subject(one) for one in before["expectations"] if not _is_drafted(one)}
    changes: list[Change] = []
    expectations: list[dict[str, Any]] = []
    for one in before["expectations"]:
        rule = str((one.get("meta") or {}).get("rule", ""))
        new = fresh.get(rule)
        if not _is_drafted(one):
            expectations.append(one)
            if new is not None and _form(new) != _form(one):
                changes.append(Change("kept", rule, _form(one), _form(new), "a person has changed it"))
        elif new is None:
            changes.append(Change("removed", rule, was=_form(one)))
        else:
            # The new form with the old one's id, which waivers may name.
            expectations.append({**new, **({"id": one["id"]} if one.get("id") else {})})
            if _form(new) != _form(one):
                changes.append(Change("changed", rule, _form(one), _form(new)))
    for rule, new in fresh.items():
        if rule in there:
            continue
        if rule in known:
            changes.append(Change("kept", rule, now=_form(new), why="a person has taken it out"))
        elif _subject(new) in spoken_of:
            changes.append(Change("kept", rule, now=_form(new), why="the suite has one of its own for this"))
        else:
            expectations.append(new)
            changes.append(Change("added", rule, now=_form(new)))
    meta["drafted_rules"] = sorted(fresh.keys() | {rule for rule in known if rule not in there})
    return {**before, "expectations": expectations, "meta": meta}, changes


def differences(changes: Sequence[Change]) -> list[Change]:
    """The changes that writing the draft would make to the file."""
    return [one for one in changes if one.kind != "kept"]


def fingerprint(expectation: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of SHA-256 over an expectation's form."""
    return hashlib.sha256(json.dumps(_form(expectation), sort_keys=True).encode()).hexdigest()[:12]


def _form(expectation: Mapping[str, Any]) -> dict[str, Any]:
    form = {key: expectation.get(key) for key in _FORM}
    # Whatever else a person puts into the metadata is part of the form, too.
    said = {k: v for k, v in (expectation.get("meta") or {}).items() if k not in ("rule", "drafted")}
    return {**form, "severity": form["severity"] or "critical", **({"meta": said} if said else {})}


def _is_drafted(expectation: Mapping[str, Any]) -> bool:
    """Whether it is unchanged since it was drafted."""
    return bool((expectation.get("meta") or {}).get("drafted") == fingerprint(expectation))


def _subject(expectation: Mapping[str, Any]) -> str:
    """What an expectation is about: its type, its columns and its condition."""
    kwargs = expectation["kwargs"]
    columns = {key: kwargs[key] for key in ("column", "column_A", "column_B", "column_list") if key in kwargs}
    bounds = sorted(key for key in ("min_value", "max_value") if kwargs.get(key) is not None)
    whole_table = [] if columns else bounds
    return json.dumps([expectation["type"], columns, kwargs.get("row_condition"), whole_table], sort_keys=True)
