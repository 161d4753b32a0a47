"""What a drafted model has to reach, and what training does about a class of few rows."""

from __future__ import annotations

import math

from pipelines.scaffold.labelling import Label
from spec.workload import Split, Task

_TEST_FRACTION = Split().test_fraction
_RARE_MARGIN = 0.05  # of a bar over what a model reaches that never says the rare class


def thresholds_text(label: Label, rows: int) -> str:
    """Bars above what a model reaches that ignores its inputs, by what chance does on the rows that will judge it.

    A bar has to hold with confidence besides (evaluation.confidence): labels without any pattern pass about one in 250 times.
    With a rare class they are on metrics that a model fails which never says it, where accuracy would praise it.
    """
    test = max(1.0, _TEST_FRACTION * rows)
    margin = f"# The bar has a margin for what chance does on about {test:,.0f} test rows, and must hold for 95 % sure."
    if label.task is Task.REGRESSION:
        most = label.std * (1 - min(0.5, 1 / math.sqrt(2 * test)))
        trivial = f"# Always saying the mean ({label.mean:.4g}) has an RMSE of {label.std:.4g}."
        bars = [f"{{metric: rmse, max: {float(f'{most:.3g}')!r}}}"]
    else:
        assert label.majority is not None
        trivial = f"# Always saying {one_line(label.majority[0])} has an accuracy of {label.majority[1]:.3f}."
        if label.task is Task.BINARY:
            trivial = trivial.replace("# Always", "# 0.5 is guessing; always")
            bars = _of_two_classes(label, test)
        elif label.imbalanced:
            macro_f1 = 2 * label.majority[1] / (1 + label.majority[1]) / len(label.classes)
            trivial = f"{trivial[:-1]} and a macro F1 of {macro_f1:.3f}."
            bars = [f"{{metric: macro_f1, min: {_rounded_up(macro_f1 + _RARE_MARGIN)}}}"]
        else:
            share = label.majority[1]
            chance = math.sqrt(share * (1 - share) / test)
            bars = [f"{{metric: accuracy, min: {_rounded_up(share + min((1 - share) / 2, chance))}}}"]
    return "\n".join([f"  {trivial}", f"  {margin}", "  thresholds:", *(f"    - {bar}" for bar in bars)])


def _of_two_classes(label: Label, test: float) -> list[str]:
    assert label.majority is not None and label.positive is not None
    share = label.majority[1]
    # The standard error of the area of a model that knows nothing (Mann and Whitney, 1947).
    chance = math.sqrt((test + 1) / (12 * test**2 * share * (1 - share)))
    bars = [f"{{metric: auc, min: {_rounded_up(max(0.6, 0.5 + min(0.4, chance)))}}}"]
    if label.imbalanced and label.positive.name == label.rarest:
        rare = 1 - share  # of the rows, which is the auc_pr of guessing
        bars.append(f"{{metric: auc_pr, min: {_rounded_up(rare + _RARE_MARGIN)}}} # guessing has {rare:.3g}")
    return bars


def rare_text(label: Label) -> str:
    """What the Trainer does about a rare class; nothing where none is."""
    if not label.imbalanced:
        return ""
    lines = [
        "  # All classes weigh the same in the loss, however few rows they have; probabilities then rank rows and are no shares.",
        "  class_weights: balanced",
    ]
    if label.task is Task.BINARY:
        lines += [
            "  # A row is called positive above what gives the best F1 on eval. Or a number, {precision: 0.9}, {recall: 0.9}.",
            "  decision_threshold: best_f1",
        ]
    return "\n" + "\n".join(lines)


def max_loss_text(label: Label, rows: int) -> str:
    """About one standard error of the metric on the test split: less than that is chance."""
    chance = 0.5 / math.sqrt(max(1.0, _TEST_FRACTION * rows))
    if label.task is Task.REGRESSION:
        return repr(float(f"{min(0.5, chance) * label.std:.2g}"))
    return repr(float(f"{min(0.1, chance):.2g}"))


def one_line(text: object) -> str:
    return " ".join(str(text).split())


def _rounded_up(share: float) -> str:
    return f"{math.ceil(round(share * 1000, 6)) / 1000:g}"
