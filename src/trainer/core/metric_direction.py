"""Optimization direction (min or max) of a metric, from its name or from torchmetrics. Imports no torch."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from trainer.core.errors import UserError

Direction = Literal["min", "max"]
AUTO = "auto"  # the mode is the direction of the metric
MODES = ("min", "max", AUTO)
UNKNOWN_DIRECTION_MESSAGE = "it is unknown whether small or large values of '{}' are good"

STAGES = ("train", "val", "valid", "validation", "eval", "test")
LOWER_IS_BETTER = """
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
HIGHER_IS_BETTER = """
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
    pearsons contingency, classes seen, min class fraction, confident fraction
"""
# words after the name of a metric that do not change its direction
QUALIFIERS = """
    best, epoch, step, score, value, index, coef, coefficient, corr, mean, avg, average, total, sum, macro, micro,
    weighted, samples, top, k, percent, pct
"""
# words before the name of a metric that reverse its direction, or may reverse it
NEGATIONS = "neg, negative, negated, minus, inverse, inverted, inv, reciprocal, complement, non, not, no, anti, attack"
PREPOSITIONS = "to, per, of, at, in, by, for, until, vs, over"  # the metric is the noun before them


def _split_phrases(text: str) -> frozenset[str]:
    return frozenset(" ".join(phrase.split()) for phrase in text.split(","))


_QUALIFIERS = _split_phrases(QUALIFIERS)
_NEGATIONS = _split_phrases(NEGATIONS)
_PREPOSITIONS = _split_phrases(PREPOSITIONS)
KNOWN_DIRECTIONS: Mapping[str, Direction] = {
    **dict.fromkeys(_split_phrases(LOWER_IS_BETTER), "min"),
    **dict.fromkeys(_split_phrases(HIGHER_IS_BETTER), "max"),
}
MAX_PHRASE_WORDS = max(len(phrase.split()) for phrase in KNOWN_DIRECTIONS)


def infer_direction(metric: str, measured: Mapping[str, Direction] | None = None) -> Direction | None:
    """Return `min` if small values of a metric are good, `max` if large ones are, None if that is unknown.

    Args:
        metric: Name as logged, e.g. `val/accuracy`, `test/recall/cat` or `val/loss_best`.
        measured: Directions of the objective's metrics by name, see `collect_metric_directions`. The result is None if
            the name contradicts them.
    """
    parts = base_name(metric).split("/")
    by_name = _infer_from_name(parts[0]) or _infer_from_name(parts[-1])
    stated = (measured or {}).get(parts[0], by_name)
    return stated if by_name in (None, stated) else None


def find_mode_error(metric: str, mode: Any, direction: Direction | None) -> tuple[str, str] | None:
    """Return the problem of a monitor's mode and the expected mode, or None if the mode is valid.

    Args:
        metric: Monitored metric.
        mode: `auto`, `min` or `max`.
        direction: Direction of the metric, from `infer_direction`.
    """
    if mode not in MODES:
        return f"'{mode}' is not a mode", "expected auto, min or max"
    if mode == AUTO and direction is None:
        return UNKNOWN_DIRECTION_MESSAGE.format(metric), "expected min or max"
    if mode != AUTO and direction not in (None, mode):
        good = "small" if direction == "min" else "large"
        return f"{mode} contradicts '{metric}', of which {good} values are good", f"expected {direction} or auto"
    return None


def resolve_mode(key: str, metric: str, mode: str) -> str:
    """Return the mode of a monitor; `auto` is replaced by the direction that the name of the metric implies.

    Raises:
        UserError: The mode is `auto`, and the direction of the metric is unknown.
    """
    if mode != AUTO:
        return mode
    direction = infer_direction(metric)
    if direction is None:
        raise UserError(f"{key}: {UNKNOWN_DIRECTION_MESSAGE.format(metric)}; expected min or max")
    return direction


def base_name(metric: str) -> str:
    """Return the name of a metric without its stage and without `_best`: `accuracy` for `val/accuracy_best`."""
    stage, slash, name = metric.partition("/")
    return (name if slash and stage in STAGES else metric).removesuffix("_best")


def collect_metric_directions(objective: Any) -> dict[str, Direction]:
    """Return the directions of an objective's metrics by name, from `higher_is_better` of torchmetrics."""
    metrics = objective.metrics() if hasattr(objective, "metrics") else {}
    stated = {name: metric.higher_is_better for name, metric in metrics.items()}
    return {name: "max" if higher else "min" for name, higher in stated.items() if isinstance(higher, bool)}


def _infer_from_name(name: str) -> Direction | None:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)  # MeanSquaredError, valLoss
    return _infer_from_tokens(_tokenize(name)) or _infer_from_tokens(_tokenize(spaced))


def _tokenize(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def _infer_from_tokens(tokens: list[str]) -> Direction | None:
    """Return the direction of a metric from its last noun, or from the noun before a preposition."""
    preposition = next((index for index, token in enumerate(tokens) if token in _PREPOSITIONS), 0)
    while tokens:
        noun = tokens[-1].rstrip("0123456789")
        for phrase in (tokens, [*tokens[:-1], noun]):
            for length in range(min(MAX_PHRASE_WORDS, len(tokens)), 0, -1):
                direction = KNOWN_DIRECTIONS.get(" ".join(phrase[-length:]))
                prefix = tokens[:-length]
                if direction and len(prefix) > preposition > 0:  # time_to_accuracy is a time
                    return _infer_from_tokens(tokens[:preposition])
                if direction:
                    return None if prefix[:1] == ["1"] or _NEGATIONS & {*prefix} else direction
        if noun and noun not in _QUALIFIERS:
            return _infer_from_tokens(tokens[:preposition]) if preposition else None
        tokens = tokens[:-1]
    return None


def as_list(value: Any) -> list[str]:
    """Return a name or a list of names as a list."""
    if value is None:
        return []
    return [str(name) for name in value] if isinstance(value, list) else [str(value)]
