"""Figures that say how good a model is, beside its loss.

Each is a small object with its options, called as ``metric(outputs, targets)`` on arrays, and given to a `Trainer`
under a name: ``Trainer(..., metrics={"f1": metrics.F1(average="macro")})``. In training a figure is taken of each
batch, and the epoch's is their mean, weighted by samples; in evaluation it is taken of all outputs together. For a
metric that is `additive` the two are the same thing. For the others (precision, recall, F1, RMSE, R²) the mean over
batches is only an indication, the better the larger the batches: judge by the validation figures.
"""
from .averaged import F1, Precision, Recall
from .confusion import confusion_matrix, confusion_table
from .regression import MAE, R2, RMSE
from .shares import Accuracy, TopKAccuracy, accuracy

__all__ = [
    "F1", "MAE", "R2", "RMSE", "Accuracy", "Precision", "Recall", "TopKAccuracy", "accuracy", "confusion_matrix",
    "confusion_table",
]
