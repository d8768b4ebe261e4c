"""Directions of metrics: whether small or large values are good. Imports no torch."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from trainer.core.errors import UserError

Direction = Literal["min", "max"]
AUTO = "auto"  # the mode that stands for the direction of the metric
MODES = ("min", "max", AUTO)
UNKNOWN = "it is unknown whether small or large values of '{}' are good"

STAGES = ("train", "val", "valid", "validation", "eval", "test")
SMALL_IS_GOOD = """
    loss, error, errors, error rate, mistakes, residual, regret, deviance, mae, mse, rmse, msle, rmsle, mape, smape,
    wmape, nrmse, mae price, rmse price, huber, hinge, cross entropy, crossentropy, bce, ce, nll,
    negative log likelihood, neg log likelihood, kl divergence, js divergence, perplexity, ppl, bits per dim,
    bits per dimension, bits per character, bits per byte, bits per pixel, bpc, bpd, wer, cer, mer, ter, eer, wil,
    translation edit rate, word information lost, brier, ece, fid, kid, lpips, frechet inception distance,
    kernel inception distance, hamming distance, edit distance, minkowski distance, chamfer distance,
    wasserstein distance, hausdorff distance, fall out, fpr, fnr, false positive, false positives,
    false positive rate, false negative, false negatives, false negative rate, misclassification,
    misclassification rate, total variation, ergas, error relative global dimensionless synthesis,
    spectral angle mapper, root mean squared error using sliding window, crps, ade, fde, epe, aic, bic,
    davies bouldin, latency, seconds, milliseconds
"""
LARGE_IS_GOOD = """
    accuracy, acc, precision, recall, f1, f2, f beta, fbeta, f score, fscore, dice, jaccard, iou, miou, io u,
    intersection over union, auroc, auc, rocauc, auprc, prauc, area under curve, ap, map, average precision,
    sensitivity, specificity, tpr, tnr, ppv, npv, true positive, true positives, true positive rate, true negative,
    true negatives, true negative rate,
    positive predictive value, negative predictive value, mcc, matthews, kappa, exact match, critical success,
    success, success rate, win rate, hit, hits, hit rate, mrr, dcg, ndcg, r2, r squared, explained variance, pearson,
    spearman, kendall, concordance, cosine similarity, ssim, ms ssim, structural similarity,
    structural similarity index measure, universal image quality, psnr, peak signal noise ratio, snr,
    signal noise ratio, signal to noise ratio, sdr, si sdr, si snr, signal distortion ratio, panoptic quality, bleu,
    rouge, rouge l, rouge lsum, meteor, chrf, squad, word information preserved, log likelihood, elbo,
    inception score, reward, return, throughput, silhouette, calinski harabasz, rand score, rand index,
    adjusted rand, mutual info, nmi, ari, homogeneity, completeness, v measure, cramers v, theils u, tschuprows t,
    pearsons contingency, classes seen, least class share, confident share
"""
# words behind the name of a metric that do not change its direction
QUALIFIERS = """
    best, epoch, step, score, value, index, coef, coefficient, corr, mean, avg, average, total, sum, macro, micro,
    weighted, samples, top, k, percent, pct
"""
# words before the name of a metric that reverse its direction, or may do so
NEGATIONS = "neg, negative, negated, minus, inverse, inverted, inv, reciprocal, complement, non, not, no, anti, attack"
PREPOSITIONS = "to, per, of, at, in, by, for, until, vs, over"  # the metric is named before them


def _listed(text: str) -> frozenset[str]:
    return frozenset(" ".join(phrase.split()) for phrase in text.split(","))


_QUALIFIERS, _NEGATIONS, _PREPOSITIONS = map(_listed, (QUALIFIERS, NEGATIONS, PREPOSITIONS))
KNOWN: Mapping[str, Direction] = {
    **dict.fromkeys(_listed(SMALL_IS_GOOD), "min"),
    **dict.fromkeys(_listed(LARGE_IS_GOOD), "max"),
}
LONGEST = max(len(phrase.split()) for phrase in KNOWN)


def direction_of(metric: str, measured: Mapping[str, Direction] | None = None) -> Direction | None:
    """Return `min` if small values of a metric are good, `max` if large ones are, None if that is unknown.

    Args:
        metric: Name as logged, e.g. `val/accuracy`, `test/recall/cat` or `val/loss_best`.
        measured: Directions of the objective's metrics by name, see `measured_by`. One that contradicts the name
            makes the direction unknown.
    """
    parts = base_name(metric).split("/")
    by_name = _of_name(parts[0]) or _of_name(parts[-1])
    stated = (measured or {}).get(parts[0], by_name)
    return stated if by_name in (None, stated) else None


def refused_mode(metric: str, mode: Any, direction: Direction | None) -> tuple[str, str] | None:
    """Return what is wrong with the mode of a monitor and what is expected instead, or None if it is right.

    Args:
        metric: That is monitored.
        mode: `auto`, `min` or `max`.
        direction: Of the metric, as `direction_of` returns it.
    """
    if mode not in MODES:
        return f"'{mode}' is not a mode", "expected auto, min or max"
    if mode == AUTO and direction is None:
        return UNKNOWN.format(metric), "expected min or max"
    if mode != AUTO and direction not in (None, mode):
        good = "small" if direction == "min" else "large"
        return f"{mode} contradicts '{metric}', of which {good} values are good", f"expected {direction} or auto"
    return None


def mode_of(key: str, metric: str, mode: str) -> str:
    """Return the mode of a monitor, `auto` resolved by the name of its metric.

    Raises:
        UserError: The mode is `auto`, and the direction of the metric is unknown.
    """
    if mode != AUTO:
        return mode
    direction = direction_of(metric)
    if direction is None:
        raise UserError(f"{key}: {UNKNOWN.format(metric)}; expected min or max")
    return direction


def base_name(metric: str) -> str:
    """Return the name of a metric without its stage and without `_best`: `accuracy` for `val/accuracy_best`."""
    stage, slash, rest = metric.partition("/")
    return (rest if slash and stage in STAGES else metric).removesuffix("_best")


def measured_by(objective: Any) -> dict[str, Direction]:
    """Return the directions of an objective's metrics by name, as `higher_is_better` of torchmetrics states them."""
    metrics = objective.metrics() if hasattr(objective, "metrics") else {}
    stated = {name: metric.higher_is_better for name, metric in metrics.items()}
    return {name: "max" if higher else "min" for name, higher in stated.items() if isinstance(higher, bool)}


def _of_name(name: str) -> Direction | None:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)  # MeanSquaredError, valLoss
    return _of_words(_words(name)) or _of_words(_words(spaced))


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def _of_words(words: list[str]) -> Direction | None:
    """Return the direction of the metric that words name: by their last noun, or by the one before a preposition."""
    place = next((place for place, word in enumerate(words) if word in _PREPOSITIONS), 0)
    while words:
        plain = words[-1].rstrip("0123456789")
        for ending in (words, [*words[:-1], plain]):
            for length in range(min(LONGEST, len(words)), 0, -1):
                direction = KNOWN.get(" ".join(ending[-length:]))
                before = words[:-length]
                if direction and len(before) > place > 0:  # time_to_accuracy is a time
                    return _of_words(words[:place])
                if direction:
                    return None if before[:1] == ["1"] or _NEGATIONS & {*before} else direction
        if plain and plain not in _QUALIFIERS:
            return _of_words(words[:place]) if place else None
        words = words[:-1]
    return None


def several(value: Any) -> list[str]:
    """Return one name or a list of them as a list."""
    return [] if value is None else [str(each) for each in value] if isinstance(value, list) else [str(value)]
