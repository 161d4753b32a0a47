"""Of thousands of expectations a few hundred are written down, the most useful ones."""

from __future__ import annotations

from quality.contracts._ranking import most_useful


def test_the_whole_table_and_rare_findings_come_before_what_the_schema_says_as_well() -> None:
    rules = [f"{kind}(c{n})" for n in range(300) for kind in ("present", "range", "median", "unit")]
    drafted = [{"meta": {"rule": rule}} for rule in ("columns", *rules, "present(label)", "unique(id)")]
    kept = [one["meta"]["rule"] for one in most_useful(drafted, 500)]
    assert len(kept) == 500
    assert {"columns", "unique(id)", "unit(c299)", "range(c190)"} <= set(kept)
    assert not any(rule.startswith(("present", "median")) for rule in kept)
    assert kept == [rule for rule in ("columns", *rules, "unique(id)") if rule in set(kept)]  # in their order


def test_few_are_all_kept() -> None:
    drafted = [{"meta": {"rule": f"present(c{n})"}} for n in range(250)]
    assert most_useful(drafted) == drafted
