"""A linear method beside the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC


def linear_svm(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """A linear SVM on TF-IDF of words, pairs of words, and two to five letters; its margin as a logit."""
    words = TfidfVectorizer(tokenizer=str.split, token_pattern=None, ngram_range=(1, 2), sublinear_tf=True)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    model = make_pipeline(make_union(words, letters), LinearSVC(random_state=1))
    model.fit(train["text"].to_pylist(), task.read_labels(train["label"], "label"))
    margin = model.decision_function(test["text"].to_pylist())
    probability: np.ndarray = 1 / (1 + np.exp(-margin))
    return probability
