"""Preprocessing of a table before the statistics of the training rows are known."""

from dataclasses import asdict

from trainer.data.preprocessing.tabular import TabularPreprocessing, make_preprocessing
from trainer.data.tabular.inspection import Inspection, InspectionSettings


def make_layout(inspection: Inspection | None, settings: InspectionSettings) -> TabularPreprocessing:
    """Return the preprocessing of the input columns, without statistics.

    Args:
        inspection: Inspection of the file; None if there is no file, and the settings contain all columns.
        settings: Settings of the inspection.
    """
    columns = inspection.inputs if inspection else tuple(column for _, column in settings.columns)
    return make_preprocessing(
        [column for column in columns if column.kind != "ignored"],
        width=len(inspection.columns if inspection else columns),
        names=inspection.names if inspection else (),
        dialect=asdict(settings.dialect),
        missing=settings.missing,
    )
