"""The metrics that models are judged by: one record each. docs/reference/metrics.md says what each one means."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Metric:
    """What is known of a metric before anything is measured.

    Attributes:
        name: in workload.yaml and metrics.json.
        title: on pages.
        lower_is_better: whether a smaller value is the better one.
        ideal: the value to be near to, where neither high nor low is good.
        bounded: whether it lies between 0 and 1.
    """

    name: str
    title: str
    lower_is_better: bool = False
    ideal: float | None = None
    bounded: bool = False

    def loss(self, challenger: float, champion: float) -> float:
        """How much worse the challenger is than the champion, in the metric's unit; negative when it is better."""
        if self.ideal is not None:
            return abs(challenger - self.ideal) - abs(champion - self.ideal)
        return challenger - champion if self.lower_is_better else champion - challenger


AUC = Metric("auc", "AUC", bounded=True)
AUC_PR = Metric("auc_pr", "AUC, precision–recall", bounded=True)
MACRO_AUC = Metric("macro_auc", "AUC, mean over classes", bounded=True)
MACRO_AUC_PR = Metric("macro_auc_pr", "AUC, precision–recall, mean over classes", bounded=True)
ACCURACY = Metric("accuracy", "Accuracy", bounded=True)
PRECISION = Metric("precision", "Precision", bounded=True)
RECALL = Metric("recall", "Recall", bounded=True)
F1 = Metric("f1", "F1", bounded=True)
MICRO_F1 = Metric("micro_f1", "Micro F1", bounded=True)
MACRO_F1 = Metric("macro_f1", "Macro F1", bounded=True)
TOP_3_ACCURACY = Metric("top_3_accuracy", "Top-3 accuracy", bounded=True)
SUBSET_ACCURACY = Metric("subset_accuracy", "Rows with all classes right", bounded=True)
HAMMING_LOSS = Metric("hamming_loss", "Hamming loss", lower_is_better=True, bounded=True)
LOG_LOSS = Metric("log_loss", "Log loss", lower_is_better=True)
CALIBRATION = Metric("calibration", "Calibration", ideal=1.0)
RMSE = Metric("rmse", "RMSE", lower_is_better=True)
MAE = Metric("mae", "MAE", lower_is_better=True)
MAPE = Metric("mape", "MAPE", lower_is_better=True)
R2 = Metric("r2", "R²")
BIAS = Metric("bias", "Bias", ideal=0.0)
NDCG_10 = Metric("ndcg_10", "NDCG@10", bounded=True)
MAP = Metric("map", "MAP", bounded=True)
MRR = Metric("mrr", "MRR", bounded=True)
PRECISION_10 = Metric("precision_10", "Precision@10", bounded=True)
RECALL_10 = Metric("recall_10", "Recall@10", bounded=True)
MIOU = Metric("miou", "Mean IoU", bounded=True)
DICE = Metric("dice", "Dice", bounded=True)
PIXEL_ACCURACY = Metric("pixel_accuracy", "Pixel accuracy", bounded=True)
RECALL_20 = Metric("recall_20", "Recall@20", bounded=True)
HIT_1 = Metric("hit_1", "Hit@1", bounded=True)
COVERAGE_10 = Metric("coverage_10", "Coverage@10", bounded=True)
POPULARITY_10 = Metric("popularity_10", "Popularity@10", lower_is_better=True, bounded=True)
COLD_NDCG_10 = Metric("cold_ndcg_10", "NDCG@10 of new queries", bounded=True)
MSE = Metric("mse", "Mean squared error", lower_is_better=True)
BCE = Metric("bce", "Cross-entropy", lower_is_better=True)
PSNR = Metric("psnr", "Peak signal to noise (dB)")
JUDGE_ACCURACY = Metric("judge_accuracy", "Accuracy by the judge", bounded=True)
FRECHET = Metric("frechet", "Fréchet distance", lower_is_better=True)
SYNTHETIC_TRAIN = Metric("synthetic_train", "Trained on generated, tested on real", bounded=True)
REAL_TRAIN = Metric("real_train", "Trained on real, tested on real", bounded=True)
LOSS = Metric("loss", "Loss", lower_is_better=True)
"""What training brings down; no task is judged by it."""

METRICS: dict[str, Metric] = {
    one.name: one
    for one in (
        *(AUC, AUC_PR, ACCURACY, PRECISION, RECALL, F1, MACRO_F1, TOP_3_ACCURACY, LOG_LOSS, CALIBRATION),
        *(MACRO_AUC, MACRO_AUC_PR, MICRO_F1, SUBSET_ACCURACY, HAMMING_LOSS, MIOU, DICE, PIXEL_ACCURACY),
        *(RMSE, MAE, MAPE, R2, BIAS, NDCG_10, MAP, MRR, PRECISION_10, RECALL_10),
        *(RECALL_20, HIT_1, COVERAGE_10, POPULARITY_10, COLD_NDCG_10),
        *(MSE, BCE, PSNR, JUDGE_ACCURACY, FRECHET, SYNTHETIC_TRAIN, REAL_TRAIN, LOSS),
    )
}

DEMOGRAPHIC_PARITY_DIFFERENCE = Metric(
    "demographic_parity_difference", "Demographic parity, difference", lower_is_better=True, bounded=True
)
DEMOGRAPHIC_PARITY_RATIO = Metric("demographic_parity_ratio", "Demographic parity, ratio", bounded=True)
EQUALIZED_ODDS_DIFFERENCE = Metric(
    "equalized_odds_difference", "Equalized odds, difference", lower_is_better=True, bounded=True
)
EQUAL_OPPORTUNITY_DIFFERENCE = Metric(
    "equal_opportunity_difference", "Equal opportunity, difference", lower_is_better=True, bounded=True
)

FAIRNESS: dict[str, Metric] = {
    one.name: one
    for one in (
        DEMOGRAPHIC_PARITY_DIFFERENCE,
        DEMOGRAPHIC_PARITY_RATIO,
        EQUALIZED_ODDS_DIFFERENCE,
        EQUAL_OPPORTUNITY_DIFFERENCE,
    )
}
"""How differently a model treats the groups of a column: of any task that calls each row one class."""


def find(name: str) -> Metric:
    """The record of a metric; one that is not ours is taken for better when higher, and its name, in words, is its title."""
    return METRICS.get(name) or FAIRNESS.get(name) or Metric(name, name.replace("_", " "))
