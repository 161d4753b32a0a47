"""From facts to expectations: a suite that a data team can read, and that an ordinary next span does not break.

What is impossible is critical and mostly in the schema already; what is unlikely is a warning. Each expectation says in plain words
why it is there, and carries the name of its rule, by which a later draft knows it again.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from quality.contracts._facts import FORMATS, Facts
from quality.contracts._relations import Relations
from spec.tasks import LabelKind, find

Expectation = dict[str, Any]

_EVAL_SHARE = 0.2  # expectations are also checked on splits of the rows, and the smaller one varies most
_HEADROOM = 0.25  # of the observed range, on each side
_RARE = 0.999  # one in a thousand may be mistyped
_NEARLY_ALL = 0.99
_FAR = 5
_YEARS_AHEAD = datetime.timedelta(days=3653)  # spans go on


def rules(
    facts: Sequence[Facts], relations: Relations, label: str | None, task: str, rows: int, earlier: Sequence[int] = ()
) -> list[Expectation]:
    """The expectations that a draft proposes, in a fixed order.

    Args:
        facts: of the columns, in the schema's order.
        label: the column to predict; None where the task needs none.
        earlier: rows of earlier spans, where they are known.
    """
    drafted = [*_of_table(facts, rows, earlier)]
    for one in facts:
        drafted += _of_label(one, find(task).label_kind) if one.name == label else _of_column(one)
    return [*drafted, *_of_relations(relations, [one.name for one in facts])]


def _of_table(facts: Sequence[Facts], rows: int, earlier: Sequence[int]) -> Iterator[Expectation]:
    counts = [*earlier, rows]
    spans = f"{len(counts)} spans had {min(counts):,} to {max(counts):,} rows" if earlier else f"It had {rows:,} rows"
    kind = "expect_table_row_count_to_be_between"
    # Critical: a handful of rows cannot judge a model.
    yield _expect(
        "rows.least",
        kind,
        "critical",
        f"{spans}; less than a tenth is a delivery that was cut off.",
        min_value=max(1, min(counts) // 10),
    )
    low, high = (min(counts) // 2, 2 * max(counts)) if earlier else (max(1, rows // 4), rows * 4)
    yield _expect(
        "rows.usual",
        kind,
        "warning",
        f"{spans}; far fewer or more is a delivery to look into.",
        min_value=max(1, low),
        max_value=high,
    )
    yield _expect(
        "columns",
        "expect_table_columns_to_match_set",
        "critical",
        "The columns that the model was built for.",
        column_set=[one.name for one in facts],
        exact_match=True,
    )


def _of_label(one: Facts, kind: LabelKind) -> Iterator[Expectation]:
    yield _about(
        one, "present", "expect_column_values_to_not_be_null", "critical", "A row without a label teaches nothing."
    )
    if kind is LabelKind.NUMBER:
        yield from _range(one)
        yield from _middle(one)
    if not kind.is_one_class:  # Great Expectations does not look into lists; the domain in schema.pbtxt judges those
        return
    classes = list(one.domain) if one.domain is not None else _codes(one) or list(one.values)
    if classes:
        yield _about(
            one,
            "classes",
            "expect_column_values_to_be_in_set",
            "critical",
            "The classes that the model knows; the domain in schema.pbtxt says the same.",
            value_set=classes,
        )
    if len(one.frequent) > 1:
        yield from _frequent(one)
    if one.share is not None and classes == [0, 1]:
        low, high = _odds(one.share, one.rows)
        if low < 1 - one.share < high:  # too close to a half: flipped labels would look the same
            return
        yield _about(
            one,
            "share",
            "expect_column_mean_to_be_between",
            "critical",
            f"{one.share:.1%} were positive. With three times the odds, or a third, the label means something else.",
            min_value=low,
            max_value=high,
        )


def _odds(share: float, rows: int) -> tuple[float, float]:
    """The shares at a third of the odds and at three times them, widened by the smaller split's chance variation."""
    spread = 4 * math.sqrt(share * (1 - share) / max(1.0, _EVAL_SHARE * rows))
    low, high = share / (share + 3 * (1 - share)), 3 * share / (3 * share + 1 - share)
    return max(0.0, round(low - spread, 4)), min(1.0, round(high + spread, 4))


def _codes(one: Facts) -> list[int]:
    low, high = one.bounds
    return list(range(int(low), int(high) + 1)) if low is not None and high is not None and high - low < 1000 else []


def _of_column(one: Facts) -> Iterator[Expectation]:
    if one.missing == one.rows:
        return
    yield from _present(one)
    if one.is_key:
        yield _about(
            one,
            "unique",
            "expect_column_values_to_be_unique",
            "critical",
            "It names a row; one that comes twice was delivered twice.",
        )
    for rule in _TEXT_RULES if one.kind == "BYTES" else _NUMBER_RULES:
        yield from rule(one)


def _present(one: Facts) -> Iterator[Expectation]:
    kind = "expect_column_values_to_not_be_null"
    if one.required:
        note = "Each row must have it; schema.pbtxt says the same."
        yield _about(one, "present", kind, "critical", note)
        return
    # The observed share minus the smaller split's chance variation; never looser than the schema, which stops the run.
    spread = math.sqrt(one.present * (1 - one.present) / max(1.0, _EVAL_SHARE * one.rows))
    least = max(math.floor((one.present - 0.05 - 4 * spread) * 100) / 100, one.least_present)
    if least > 0:
        note = f"{1 - one.present:.1%} were missing when this was drafted."
        yield _about(one, "present", kind, "warning", note, mostly=min(least, _NEARLY_ALL))


def _domain(one: Facts) -> Iterator[Expectation]:
    if one.personal:
        return
    if values := list(one.closed):
        note = (
            "The values that schema.pbtxt knows; the model takes any other for unknown."
            if one.domain is not None
            else "All values that came so far; a new one is unknown to the model until it is trained on."
        )
        yield _about(one, "values", "expect_column_values_to_be_in_set", "warning", note, value_set=values)
        if one.kind == "BYTES" and one.distinct > 1:
            yield _about(
                one,
                "coding",
                "expect_column_values_to_be_in_set",
                "critical",
                "Where most values are unknown, they are written in another way: upper case, another language, codes.",
                value_set=values,
                mostly=0.5,
            )
        yield from _frequent(one)


def _frequent(one: Facts) -> Iterator[Expectation]:
    if one.frequent and one.distinct > 1 and not one.personal:
        yield _about(
            one,
            "frequent",
            "expect_column_distinct_values_to_contain_set",
            "warning",
            "Each had at least a twentieth of the rows; one that is gone was renamed, or a source is missing.",
            value_set=sorted(one.frequent),
        )


def _dates(one: Facts) -> Iterator[Expectation]:
    if one.dates is None or one.personal:
        return
    first, last = (datetime.date.fromisoformat(text[:10]) for text in one.dates)
    headroom = max(datetime.timedelta(days=366), (last - first) * _HEADROOM)
    least = max(first, datetime.date(2, 1, 1) + headroom) - headroom
    most = min(last, datetime.date(9998, 12, 31) - _YEARS_AHEAD) + _YEARS_AHEAD
    yield _about(
        one,
        "dates",
        "expect_column_values_to_be_between",
        "warning",
        f"From {one.dates[0]} to {one.dates[1]} when this was drafted; far from there lie defaults such as 1900-01-01 or 9999-12-31.",
        min_value=least.isoformat(),
        max_value=most.isoformat(),
        mostly=_RARE,
    )


def _lengths(one: Facts) -> Iterator[Expectation]:
    if one.closed or one.dates or not one.distinct:  # nothing is known about images
        return
    yield _about(
        one,
        "length",
        "expect_column_value_lengths_to_be_between",
        "warning",
        f"The longest had {one.longest} characters; far longer ones, or empty ones, point to a broken file.",
        min_value=min(1, one.shortest),
        max_value=max(1, 2 * one.longest),
        mostly=_RARE,
    )


def _form(one: Facts) -> Iterator[Expectation]:
    if one.form and not one.closed:
        yield _about(
            one,
            "form",
            "expect_column_values_to_match_regex",
            "warning",
            f"Each was {one.form}.",
            regex=FORMATS[one.form],
            mostly=_RARE,
        )


def _set_of_codes(one: Facts) -> Iterator[Expectation]:
    """Few whole numbers are codes, not amounts."""
    if one.kind == "INT" and one.values and not one.personal:
        low, high = one.bounds
        if low is None or high is None:  # else the schema's domain says it, and stops the run
            yield from _domain(one)
        else:
            yield from _frequent(one)


def _range(one: Facts) -> Iterator[Expectation]:
    if one.low is None or one.high is None or one.personal or (one.kind == "INT" and one.values):
        return
    headroom = _HEADROOM * (one.high - one.low)
    least, most = _rounded(one.low - headroom, math.floor), _rounded(one.high + headroom, math.ceil)
    if one.low >= 0 > least:
        least = 0  # what has never been negative is probably an amount
    note = f"Between {one.low:g} and {one.high:g} when this was drafted, and a quarter of that range on each side."
    limits: dict[str, float] = {"min_value": least, "max_value": most}
    if one.is_time:
        note = f"It goes on growing, and began at {one.low:g}."
        limits = {"min_value": least}
    low, high = one.bounds
    if low is not None and limits["min_value"] < low:
        limits["min_value"] = low
    if high is not None and limits.get("max_value", high) > high:
        limits["max_value"] = high
    if (low, high) != (limits.get("min_value"), limits.get("max_value")):  # else the schema says the same
        yield _about(one, "range", "expect_column_values_to_be_between", "warning", note, **limits, mostly=_RARE)


def _middle(one: Facts) -> Iterator[Expectation]:
    """Catches a change of unit, which a wide range would miss."""
    if one.quartiles is None or one.is_time or one.is_key or one.personal or (one.kind == "INT" and one.values):
        return
    low, _, high = one.quartiles
    if low < high:
        yield _about(
            one,
            "median",
            "expect_column_median_to_be_between",
            "warning",
            f"Half of the values lay between {low:g} and {high:g}, and the middle one among them.",
            min_value=float(f"{low:.6g}"),
            max_value=float(f"{high:.6g}"),
        )
        least, most = _far(low, high)
        yield _about(
            one,
            "unit",
            "expect_column_median_to_be_between",
            "critical",
            f"Half of the values lay between {low:g} and {high:g}. With the middle one so far away it is another unit.",
            min_value=least,
            max_value=most,
        )


def _far(low: float, high: float) -> tuple[float, float]:
    """Bounds that no ordinary median crosses: a factor of five, or five times the distance between the quartiles."""
    if low > 0:
        least, most = low / _FAR, high * _FAR
    elif high < 0:
        least, most = low * _FAR, high / _FAR
    else:
        least, most = low - _FAR * (high - low), high + _FAR * (high - low)
    return float(f"{least:.3g}"), float(f"{most:.3g}")


def _order(one: Facts) -> Iterator[Expectation]:
    if one.increasing and not one.personal:
        yield _about(
            one,
            "order",
            "expect_column_values_to_be_increasing",
            "warning",
            "The rows came in this order; each file may begin anew.",
            mostly=0.95,
        )


_Rule = Callable[[Facts], Iterator[Expectation]]
_TEXT_RULES: tuple[_Rule, ...] = (_domain, _dates, _lengths, _form)
_NUMBER_RULES: tuple[_Rule, ...] = (_set_of_codes, _range, _middle, _order)


def _of_relations(relations: Relations, columns: Sequence[str]) -> Iterator[Expectation]:
    for smaller, greater in relations.ordered:
        yield _expect(
            f"order({smaller}, {greater})",
            "expect_column_pair_values_a_to_be_greater_than_b",
            "warning",
            f"{smaller} was never above {greater}.",
            column_A=greater,
            column_B=smaller,
            or_equal=True,
            ignore_row_if="either_value_is_missing",
            mostly=_RARE,
        )
    for one, other in relations.equal:
        yield _expect(
            f"equal({one}, {other})",
            "expect_column_pair_values_to_be_equal",
            "warning",
            f"{one} and {other} were the same in each row.",
            column_A=one,
            column_B=other,
            ignore_row_if="either_value_is_missing",
            mostly=_RARE,
        )
    for group in relations.together:
        # In a circle, so that one rule per column covers the whole group.
        for one, other in zip(group, (*group[1:], group[0]), strict=True):
            yield _expect(
                f"together({one}, {other})",
                "expect_column_values_to_not_be_null",
                "warning",
                f"Where {other} was known, {one} was too.",
                column=one,
                row_condition={"type": "nullity", "column": {"name": other}, "is_null": False},
                mostly=_RARE,
            )
    if relations.distinct_rows:
        yield _expect(
            "rows.distinct",
            "expect_compound_columns_to_be_unique",
            "warning",
            "No row came twice; many that do were delivered twice.",
            column_list=list(columns),
            mostly=_NEARLY_ALL,
        )


def _rounded(value: float, towards: Any) -> float:
    """Rounded outwards to two significant digits: a bound that a person would write."""
    if value == 0:
        return 0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return float(f"{towards(value / unit) * unit:.6g}")


def _expect(rule: str, kind: str, severity: str, notes: str, **kwargs: Any) -> Expectation:
    return {"type": kind, "kwargs": kwargs, "severity": severity, "notes": notes, "meta": {"rule": rule}}


def _about(one: Facts, rule: str, kind: str, severity: str, notes: str, **kwargs: Any) -> Expectation:
    return _expect(f"{rule}({one.name})", kind, severity, notes, column=one.name, **kwargs)
