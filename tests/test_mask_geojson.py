"""Predicted masks as GeoJSON: drawn again by another program, the outlines give the very same pixels."""

import io

import numpy as np
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays
from PIL import Image
from skimage.draw import polygon2mask

from headstart.mask_predictions import MaskPrediction, masks_geojson


def prediction(classes: np.ndarray) -> MaskPrediction:
    file = io.BytesIO()
    Image.fromarray(classes).save(file, "PNG")
    return MaskPrediction("a.png", classes.shape, file.getvalue(), tuple(np.bincount(classes.ravel(), minlength=3)))


@given(arrays.arrays(np.uint8, (9, 7), elements={"min_value": 0, "max_value": 2}))
@settings(deadline=None, max_examples=60)
def test_the_outlines_are_those_of_the_pixels(classes: np.ndarray) -> None:
    found = masks_geojson(prediction(classes), ["ground", "road", "car"])
    drawn = np.full(classes.shape, 255, np.uint8)
    for feature in found["features"]:
        label = ["ground", "road", "car"].index(feature["properties"]["label"])
        region = np.zeros(classes.shape, bool)
        for rings in feature["geometry"]["coordinates"]:
            for ring in rings:
                assert ring[0] == ring[-1]
                x, y = np.array(ring[:-1], float).T
                turns = np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))
                assert turns > 0 if ring is rings[0] else turns < 0
                # scikit-image asks for the centres of pixels at whole numbers, and for rows before columns.
                region ^= polygon2mask(classes.shape, np.stack([y, x], axis=1) - 0.5)
        assert feature["properties"]["pixels"] == region.sum()
        drawn[region] = label
    assert np.array_equal(drawn, classes)
