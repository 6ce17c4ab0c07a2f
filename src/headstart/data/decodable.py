"""Which images of a data set decode."""

from __future__ import annotations

from headstart.data.dataset import Dataset
from headstart.errors import DataError, listed
from headstart.events import Listen, silent
from headstart.images import ImageError, scan


def decodable(dataset: Dataset, name: str, listen: Listen = silent) -> tuple[Dataset, list[str]]:
    """Return the images that decode in full, and what is wrong with each of the others.

    name: of the data, for the message. Raises DataError where not one decodes.
    """
    found = scan([sample.source for sample in dataset.samples], listen=listen)
    errors = [str(error) for error in found if isinstance(error, ImageError)]
    if errors and len(errors) == len(dataset):
        raise DataError(f"none of the {len(dataset)} images of {name} can be read:\n{listed(errors)}\n"
                        "  Mend or replace them; `headstart check` lists all.")
    return dataset.subset([row for row, error in enumerate(found) if not isinstance(error, ImageError)]), errors
