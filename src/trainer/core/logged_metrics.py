"""Names and meanings of all metrics that this package logs, without their stage. Imports no torch."""

from collections.abc import Mapping

CALIBRATION_BINS = 15
CLASSIFICATION_METRICS: Mapping[str, str] = {
    "accuracy": "Fraction of the examples whose predicted class is the true one. The default.",
    "balanced_accuracy": "Mean recall of the classes; rare classes count as much as frequent ones.",
    "precision": "Correct fraction of the predictions of a class: of the second of two classes, or the mean over all.",
    "recall": "Correct fraction of the examples of a class: of the second of two classes, or the mean over all.",
    "f1": "Harmonic mean of precision and recall: of the second of two classes, or the mean over all.",
    "mcc": "Matthews correlation coefficient of predicted and true classes, -1 to 1; 0 is no better than chance.",
    "auroc": "Area under the ROC curve: probability that a positive example has a higher score than a negative one.",
    "brier": "Brier score: mean squared distance of probabilities and true classes.",
    "ece": f"Expected calibration error: mean distance of probability and accuracy in {CALIBRATION_BINS} bins of the "
    "probability.",
}
REGRESSION_METRICS: Mapping[str, str] = {
    "mae": "Mean absolute error, in the unit of the target.",
    "rmse": "Root of the mean squared error, in the unit of the target.",
    "r2": "Coefficient of determination: fraction of the variance that is explained; 0 for predicting the mean.",
}
LOSS_METRICS: Mapping[str, str] = {
    "loss": "Loss of the objective without penalties, of standardized targets for regression.",
}
STEP_METRICS: Mapping[str, str] = {
    "lr": "Learning rate. With several parameter groups `lr/NAME`, with several optimizers `lr_NAME`.",
    "grad_norm": "Norm of all gradients before clipping. With several optimizers `grad_norm_NAME`.",
    "train/grad_norm": "The same, logged by `callbacks.gradient_clipping`.",
}
CLASS_METRICS: Mapping[str, str] = {
    "accuracy": "Recall of the class: the correct fraction of its examples.",
    "precision": "Correct fraction of the predictions of the class; NaN if there are none.",
    "f1": "Harmonic mean of both.",
}
ADVERSARIAL_METRICS: Mapping[str, str] = {
    "discriminator_loss": "Binary cross-entropy of the discriminator: mean over real inputs plus mean over fake ones.",
    "generator_loss": "Loss -log D(G(z)) of the generator.",
    "real": "Mean probability of being real that the discriminator assigns to real inputs.",
    "fake": "Mean probability of being real that the discriminator assigns to generated inputs.",
}
PRICE_METRICS: Mapping[str, str] = {
    "mae_price": "Mean absolute error in prices. With several horizons `mae_price_hDAYS`; the same for the others.",
    "rmse_price": "Root of the mean squared error in prices.",
    "naive_mae_price": "`mae_price` of the naive forecast, which is the last known price.",
    "naive_rmse_price": "`rmse_price` of the naive forecast.",
    "relative_rmse": "`rmse_price` divided by `naive_rmse_price`; below 1 the network is better.",
}
SAMPLE_METRICS: Mapping[str, str] = {
    "classes_seen": "Number of classes among the generated images.",
    "min_class_fraction": "Fraction of the images that belong to the rarest class.",
    "confident_fraction": "Fraction of the images whose class has a probability of at least `confidence`.",
}
