"""Linear methods beside the networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

_WORDS = {"token_pattern": r"\S+", "ngram_range": (1, 2)}  # the sentences come split, and in lower case


def bigrams(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """Logistic regression on words and pairs of words, weighted by their Bayesian log-count ratio (Wang and Manning, 2012)."""
    counts = CountVectorizer(binary=True, **_WORDS)
    known, labels = counts.fit_transform(train["text"].to_pylist()), task.read_labels(train["label"], "label")
    positive, negative = (np.asarray(known[labels == one].sum(axis=0)).ravel() + 1.0 for one in (1, 0))
    ratio = sparse.diags(np.log((positive / positive.sum()) / (negative / negative.sum())))
    model = LogisticRegression(C=0.3, solver="liblinear", random_state=1).fit(known @ ratio, labels)
    answers: np.ndarray = model.predict_proba(counts.transform(test["text"].to_pylist()) @ ratio)[:, 1]
    return answers


def linear_svm(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """A linear SVM on TF-IDF of words and pairs of words; its margin as a logit."""
    model = make_pipeline(TfidfVectorizer(sublinear_tf=True, **_WORDS), LinearSVC(C=0.3, random_state=1))
    model.fit(train["text"].to_pylist(), task.read_labels(train["label"], "label"))
    answers: np.ndarray = 1 / (1 + np.exp(-model.decision_function(test["text"].to_pylist())))
    return answers
