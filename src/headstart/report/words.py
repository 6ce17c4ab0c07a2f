"""Words: metrics and methods in plain language, and numbers as people write them."""

from __future__ import annotations

from typing import NamedTuple

NO_BREAK = "\u00a0"
MINUS = "\u2212"
DASH = "\u2013"


class Term(NamedTuple):
    """How a metric is called and read."""

    label: str
    meaning: str
    higher_is_better: bool = True
    percent: bool = False


_AVERAGES = {"macro": "every class counts the same", "micro": "every decision counts the same",
             "weighted": "classes count by their number of images", "samples": "averaged over images"}
_PARTS = {"precision": ("Precision", "of what was given a label, how much has it"),
          "recall": ("Recall", "of what has a label, how much was found"),
          "f1": ("F1", "harmonic mean of precision and recall")}
_SIZES = {"small": "up to 32 by 32 pixels", "medium": "up to 96 by 96 pixels", "large": "from 96 by 96 pixels on"}
TERMS = {
    "accuracy": Term("Accuracy", "share of images that get the right class", percent=True),
    "top_3_accuracy": Term("Top-3 accuracy", "the right class is among the three most probable", percent=True),
    "top_5_accuracy": Term("Top-5 accuracy", "the right class is among the five most probable", percent=True),
    "balanced_accuracy": Term("Balanced accuracy", "mean share found per class; rare classes count the same",
                              percent=True),
    "subset_accuracy": Term("Exact matches", "share of images where every label is right", percent=True),
    "hamming_loss": Term("Hamming loss", "share of single yes/no labels that are wrong", False),
    "auroc": Term("AUROC", "probability that an image of a class is ranked above one that is not of it"),
    "average_precision": Term("Average precision", "area under precision against recall, mean over the classes"),
    "log_loss": Term("Log loss", "punishes confident errors; 0 is perfect", False),
    "brier": Term("Brier score", "squared error of the probabilities; 0 is perfect", False),
    "expected_calibration_error": Term("Calibration error", "mean gap between confidence and how often it is right",
                                       False),
    "expected_calibration_error_uncalibrated": Term("Calibration error, before", "the same before temperature scaling",
                                                    False),
    "cohen_kappa": Term("Cohen's kappa", "agreement beyond chance; 0 chance, 1 perfect"),
    "mcc": Term("Matthews correlation", "correlation of truth and prediction; 0 chance, 1 perfect"),
    "ap": Term("Average precision of boxes",
               "precision over all levels of recall, from loose to tight fit of the boxes"),
    "ap50": Term("AP50", "the same, where a box counts from half overlap on"),
    "ap75": Term("AP75", "the same, where a box counts from three quarters overlap on"),
    **{f"ap_{size}": Term(f"AP, {size}", f"average precision of {size} objects ({pixels})")
       for size, pixels in _SIZES.items()},
    **{f"ar{most}": Term(f"Recall, {most} a class", f"share of objects found by the {most} surest boxes of a class")
       for most in (1, 10, 100)},
    **{f"ar_{size}": Term(f"Recall, {size}", f"share of {size} objects found ({pixels})")
       for size, pixels in _SIZES.items()},
    "miou": Term("Mean IoU", "overlap of truth and answer over what either takes for the class, mean over the classes"),
    "mdice": Term("Mean Dice", "twice the overlap over the sum of both areas, mean over the classes"),
    "pixel_accuracy": Term("Pixel accuracy", "share of pixels that get the right class", percent=True),
    "class_accuracy": Term("Class accuracy", "share of the pixels of a class that is found, mean over the classes",
                           percent=True),
    "fwiou": Term("Frequency-weighted IoU", "the same as mean IoU, but classes count by their pixels"),
    "miou_image": Term("Mean IoU of an image", "mean IoU of each image alone, mean over the images"),
    "boundary_f1": Term("Boundary F1", "share of the boundaries that lie within 0.75 % of the picture's diagonal of "
                        "each other, mean over the classes"),
    "boundary_iou": Term("Boundary IoU", "IoU of the rims of the classes, 2 % of the picture's diagonal thick"),
    "hd95": Term("95% Hausdorff distance", "how far off the boundaries are, in pixels, but for the worst 5 %; mean "
                 "over images and classes", False),
    "assd": Term("Average surface distance", "how far off the boundaries are on average, in pixels; mean over images "
                 "and classes", False),
    "mask_ap": Term("Average precision of masks",
                    "precision over all levels of recall, from loose to tight fit of the masks"),
    "mask_ap50": Term("Mask AP50", "the same, where a mask counts from half overlap on"),
    "mask_ap75": Term("Mask AP75", "the same, where a mask counts from three quarters overlap on"),
    **{f"mask_ap_{size}": Term(f"Mask AP, {size}", f"average precision of the masks of {size} objects ({pixels})")
       for size, pixels in _SIZES.items()},
    "mask_ar100": Term("Mask recall", "share of objects found by their masks, from loose to tight fit"),
    "pq": Term("Panoptic quality", "masks that are shown: how many are right, times how well these fit"),
    "sq": Term("Segmentation quality", "how well the masks fit that are found"),
    "rq": Term("Recognition quality", "F1 of the masks that are shown, at half overlap"),
    "detection_calibration_error": Term("Calibration error", "mean gap between a box's score and how often such boxes "
                                        "are right", False),
    **{f"{part}_{average}": Term(f"{label}, {average}", f"{meaning}; {weighing}")
       for part, (label, meaning) in _PARTS.items() for average, weighing in _AVERAGES.items()},
}
HEADLINES = {
    "classification": ("accuracy", "balanced_accuracy", "f1_macro", "auroc", "log_loss", "expected_calibration_error"),
    "multilabel": ("average_precision", "f1_macro", "f1_micro", "auroc", "subset_accuracy", "hamming_loss",
                   "expected_calibration_error"),
    "detection": ("ap", "ap50", "ap75", "mask_ap", "mask_ap50", "mask_ap75", "pq", "sq", "rq", "ar100", "ap_small",
                  "ap_medium", "ap_large", "detection_calibration_error"),
    "semantic": ("miou", "mdice", "pixel_accuracy", "class_accuracy", "fwiou", "miou_image", "boundary_f1",
                 "boundary_iou", "hd95", "assd"),
}
METHODS = {"majority": "always the most frequent class", "scratch": "trained from scratch, no pretrained weights",
           "probe": "linear probe on frozen features", "finetune": "fine-tuned network"}
METHODS_OF_TASK = {"detection": {**METHODS, "probe": "detector on the frozen backbone"},
                   "semantic": {**METHODS, "probe": "segmenter on the frozen backbone"}}


def term(name: str) -> Term:
    """Return how a metric is called; an unknown one by its own name."""
    return TERMS.get(name) or Term(name.replace("_", " ").capitalize(), "")


def number(value: float | None, digits: int = 3) -> str:
    """Return `0.941`; a dash where undefined."""
    return DASH if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def short(value: float | None) -> str:
    """Return the number with about three digits that count, such as `1200`, `12.3` or `0.00123`."""
    if value is None:
        return DASH
    return (f"{value:.0f}" if abs(value) >= 999.5 else f"{value:.3g}").replace("-", MINUS)


def percent(value: float | None, digits: int = 1) -> str:
    """Return `94.1 %` of 0.941; a dash where undefined."""
    return DASH if value is None else f"{number(100 * value, digits)}{NO_BREAK}%"


def of_metric(name: str, value: float | None) -> str:
    """Return the value the way that its metric is usually written."""
    return percent(value) if term(name).percent else number(value)


def span(name: str, low: float | None, high: float | None) -> str:
    """Return `89.5 to 97.4 %` or `0.895 to 0.974`; a dash where undefined."""
    if low is None or high is None:
        return DASH
    if term(name).percent:
        return f"{number(100 * low, 1)} to {percent(high)}"
    return f"{number(low)} to {number(high)}"


def points(name: str, value: float | None) -> str:
    """Return a difference with its sign, in percentage points where the metric is a percentage."""
    if value is None:
        return DASH
    text = f"{100 * value:+.1f}" if term(name).percent else f"{value:+.3f}"
    return text.replace("-", MINUS)


def count(value: int | None) -> str:
    """Return `3.4 million`, or the whole number with spaces between thousands."""
    if value is None:
        return "not recorded"
    if value >= 1_000_000:
        return f"{value / 1e6:.1f}{NO_BREAK}million"
    return f"{value:,}".replace(",", "\u202f")


def images(number: int) -> str:
    """Return `1 image` or `12 images`."""
    return "1 image" if number == 1 else f"{count(number)} images"


def duration(seconds: float | None) -> str:
    """Return `45 s`, `3 min 20 s` or `2 h 5 min`."""
    if seconds is None:
        return "not recorded"
    if seconds < 60:
        return f"{seconds:.1f}{NO_BREAK}s" if seconds < 10 else f"{seconds:.0f}{NO_BREAK}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{NO_BREAK}min {rest}{NO_BREAK}s"
    return f"{minutes // 60}{NO_BREAK}h {minutes % 60}{NO_BREAK}min"


def named(names: list[str], shown: int = 6) -> str:
    """Return `ants and bees`, or the first few and how many more."""
    if len(names) > shown:
        return f"{', '.join(names[:shown])} and {len(names) - shown} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""
