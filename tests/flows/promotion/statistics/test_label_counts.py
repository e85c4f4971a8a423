"""Metrics of labels from counts are those of scikit-learn."""

import warnings

import numpy as np
import pytest

from flows.promotion.statistics import label_counts, resampling
from pipelines.model.metrics import Answers


@pytest.mark.parametrize("metric", label_counts.COUNTED)
@pytest.mark.parametrize("classes", [["no", "yes"], [0, 1, 2, 3, 4]])
def test_each_resample_has_the_score_of_scikit_learn(metric, classes):
    random = np.random.default_rng(3)
    actual = np.sort(random.choice(classes[:-1] if len(classes) > 2 else classes, 40))  # the last one is only predicted
    predicted = np.where(random.random(40) < 0.6, actual, random.choice(classes, 40))
    answers = Answers(np.array([""] * 40), actual, predicted, None, classes)
    groups = resampling.strata(metric, answers)
    chosen = [random.choice(rows, (30, len(rows))) for rows in groups]
    found = resampling.scores(metric, answers)(*chosen, axis=-1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a predicted class without a row
        expected = [answers.take(rows).score(metric) for rows in np.concatenate(chosen, -1)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    whole = resampling.scores(metric, answers)(*groups, axis=0)
    np.testing.assert_allclose(whole, answers.score(metric), rtol=1e-12)
