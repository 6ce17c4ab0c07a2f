"""The metric registry: every name that may stand in metrics.json, which way is better, and its range."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.errors import ConfigError, nearest

INFINITY = float("inf")
SINGLE, MULTI, BOTH = ("classification",), ("multilabel",), ("classification", "multilabel")
BOXES = ("detection",)
INSTANCES = ("instances",)
"""Of a detector that tells masks, too."""
MASKS = ("semantic",)


@dataclass(frozen=True, slots=True)
class Metric:
    """What is known of a metric without computing it."""

    name: str
    description: str
    higher_is_better: bool
    low: float
    high: float
    tasks: tuple[str, ...]

    @property
    def mode(self) -> str:
        """Return `max` or `min`, the direction in which it improves."""
        return "max" if self.higher_is_better else "min"

    def better(self, a: float, b: float) -> bool:
        """Return whether `a` is better than `b`; False where either is NaN."""
        return a > b if self.higher_is_better else a < b


def _up(name: str, description: str, tasks: tuple[str, ...], low: float = 0.0) -> Metric:
    return Metric(name, description, True, low, 1.0, tasks)


def _down(name: str, description: str, tasks: tuple[str, ...], high: float = 1.0) -> Metric:
    return Metric(name, description, False, 0.0, high, tasks)


def _averaged() -> list[Metric]:
    what = {"precision": "share of the given labels that are right",
            "recall": "share of the true labels that are given",
            "f1": "harmonic mean of precision and recall"}
    how = {"macro": ("mean over the classes that occur", BOTH), "micro": ("all decisions pooled", BOTH),
           "weighted": ("mean over the classes by their number of images", BOTH),
           "samples": ("mean over the images", MULTI)}
    return [_up(f"{name}_{average}", f"{text}; {manner}", tasks)
            for name, text in what.items() for average, (manner, tasks) in how.items()]


def _of_boxes() -> list[Metric]:
    precision = "average precision of the boxes, mean over the classes, "
    recall = "share of the objects found, mean over the classes and IoU 0.50 to 0.95, "
    sizes = {"small": "below 32 x 32 pixels", "medium": "from 32 x 32 to 96 x 96 pixels",
             "large": "above 96 x 96 pixels"}
    return [_up("ap", precision + "mean over IoU 0.50 to 0.95", BOXES), _up("ap50", precision + "IoU 0.50", BOXES),
            _up("ap75", precision + "IoU 0.75", BOXES),
            *(_up(f"ap_{size}", f"{precision}objects {text}", BOXES) for size, text in sizes.items()),
            *(_up(f"ar{most}", f"{recall}by at most {most} of a class in an image", BOXES) for most in (1, 10, 100)),
            *(_up(f"ar_{size}", f"{recall}objects {text}", BOXES) for size, text in sizes.items()),
            _down("detection_calibration_error", "mean gap between score and precision in 15 bins, IoU 0.50", BOXES),
            *_of_objects_masks()]


def _of_objects_masks() -> list[Metric]:
    precision = "the same of masks: average precision, mean over the classes, "
    return [_up("mask_ap", precision + "mean over IoU 0.50 to 0.95", INSTANCES),
            _up("mask_ap50", precision + "IoU 0.50", INSTANCES), _up("mask_ap75", precision + "IoU 0.75", INSTANCES),
            *(_up(f"mask_ap_{size}", f"{precision}{size} objects", INSTANCES) for size in ("small", "medium", "large")),
            _up("mask_ar100", "share of the objects found by their masks, mean over the classes and IoU 0.50 to 0.95",
                INSTANCES),
            _up("pq", "panoptic quality of the masks that are shown, mean over the classes: sq x rq", INSTANCES),
            _up("sq", "intersection over union of the masks that are found (segmentation quality)", INSTANCES),
            _up("rq", "F1 of the masks at IoU above 0.50 (recognition quality)", INSTANCES)]


def _of_masks() -> list[Metric]:
    return [_up("miou", "intersection over union of the pixels of all images, mean over the classes", MASKS),
            _up("mdice", "twice the overlap over the sum of both areas, mean over the classes", MASKS),
            _up("pixel_accuracy", "share of the pixels that are right", MASKS),
            _up("class_accuracy", "share of the pixels of a class that are found, mean over the classes", MASKS),
            _up("fwiou", "intersection over union, mean over the classes by their true pixels", MASKS),
            _up("miou_image", "intersection over union in each image, mean over its classes, then over the images",
                MASKS),
            _up("boundary_f1", "harmonic mean of the shares of true and answered boundary pixels that lie within "
                "0.75 % of the diagonal of the other, mean over the classes", MASKS),
            _up("boundary_iou", "intersection over union of inner bands of 2 % of the diagonal, mean over the classes",
                MASKS),
            _down("hd95", "95th percentile of the distances between the boundaries, in pixels, mean over the images, "
                  "then over the classes", MASKS, INFINITY),
            _down("assd", "mean distance between the boundaries, in pixels, mean over the images, then over the "
                  "classes", MASKS, INFINITY)]


METRICS: dict[str, Metric] = {m.name: m for m in [
    _up("accuracy", "share of images with the right class", SINGLE),
    _up("top_3_accuracy", "share of images whose class is among the 3 most probable; more than 3 classes", SINGLE),
    _up("top_5_accuracy", "share of images whose class is among the 5 most probable; more than 5 classes", SINGLE),
    _up("balanced_accuracy", "mean recall of the classes that occur", SINGLE),
    _up("subset_accuracy", "share of images with exactly the right labels", MULTI),
    _down("hamming_loss", "share of wrong yes/no decisions over images and labels", MULTI),
    *_averaged(),
    _up("auroc", "chance that a random image of a class scores above one of the rest; mean over classes", BOTH),
    _up("average_precision", "area under the precision-recall steps, one class against the rest; mean", BOTH),
    _down("log_loss", "mean negative log probability of the truth, in nats", BOTH, INFINITY),
    _down("brier", "squared error of the probabilities: summed over classes, or mean over labels", BOTH, 2.0),
    _down("expected_calibration_error", "mean gap between confidence and accuracy in 15 bins, calibrated", BOTH),
    _down("expected_calibration_error_uncalibrated", "the same before temperature scaling", BOTH),
    _up("cohen_kappa", "agreement with the truth beyond chance", SINGLE, -1.0),
    _up("mcc", "Matthews correlation between truth and decision", SINGLE, -1.0),
    *_of_boxes(),
    *_of_masks(),
]}


def metric(name: str) -> Metric:
    """Return the metric called `name`. Raises ConfigError with the nearest name if there is none."""
    if name not in METRICS:
        raise ConfigError(f'unknown metric "{name}".' + nearest(name, METRICS))
    return METRICS[name]


def names_for(task: str, classes: int) -> list[str]:
    """Return the names that are computed for a task, in the order in which they are shown."""
    least = {"top_3_accuracy": 4, "top_5_accuracy": 6}
    return [m.name for m in METRICS.values() if task in m.tasks and classes >= least.get(m.name, 0)]
