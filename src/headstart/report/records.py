"""Records: the shapes of a run directory's JSON files, as far as a page needs them. More fields may be there."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Shape(BaseModel):
    """A JSON object with the fields that are read here; others are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Interval(Shape):
    """A metric with its 95 % interval; None where it is undefined."""

    value: float | None
    low: float | None
    high: float | None


Metrics = dict[str, dict[str, Interval]]
"""{split: {metric: interval}}"""


class SplitCounts(Shape):
    """How many images a split has; for several labels per image, `per_class` adds up to more."""

    count: int = Field(ge=0)
    per_class: dict[str, int]


class Found(Shape):
    """One finding of the check of the data."""

    kind: str
    level: str
    text: str = ""
    advice: str = ""


def _findings(value: Any) -> Any:
    """Take the list of findings, also where it stands inside a whole report of the check."""
    return value.get("findings", []) if isinstance(value, dict) else value or []


class TargetRecord(Shape):
    """The target domain of a run."""

    images: int
    """Without a label that the run looked at, but to prove the result."""


class DataRecord(Shape):
    """data.json."""

    fingerprint: str
    root: str | None = None
    format: str
    task: str
    classes: list[str] = Field(min_length=1)
    notes: list[str] = []
    ignored: list[str] = []
    splits: dict[str, SplitCounts]
    target: TargetRecord | None = None
    """None where the run adapts to no other domain."""
    check: Annotated[list[Found], BeforeValidator(_findings)] = []


class MethodRecord(Shape):
    """One method of the run."""

    name: str
    seconds: float | None = None
    parameters_trained: int | None = None


class RunNote(Shape):
    """A sentence that the run said."""

    level: str
    text: str


class RunRecord(Shape):
    """run.json."""

    name: str
    status: str
    seconds: float | None = None
    method: str | None = None
    methods: list[MethodRecord] = []
    kept: dict[str, int] = {}
    notes: list[RunNote] = []


class BackboneRecord(Shape):
    """backbone.json."""

    architecture: str
    source: str
    family: str = ""
    license: str = "unknown"
    parameters: int | None = None
    gmacs: float | None = None
    top1: float | None = None
    width: int | None = None
    weights_sha256: str = ""
    preprocessing: dict[str, Any] = {}


class ChoiceRecord(Shape):
    """choice.json: what was left to `auto`, and why it was chosen so."""

    text: str
    facts: list[tuple[str, str, str]] = []


class Foretold(Shape):
    """An accuracy, measured or foretold, with its 80% interval."""

    images: float
    value: float
    low: float
    high: float


class ForecastRecord(Shape):
    """forecast.json: a learning curve, and where it goes."""

    backbone: str
    method: str
    law: str
    """The family of curves that foretold the last known points best."""
    belief: dict[str, float] = {}
    """Weight of each family."""
    measured: list[Foretold]
    ahead: dict[str, Foretold]
    """By factor, such as "2"."""
    now: Foretold | None = None
    """The same curve at the last measured size: what is ahead is compared with it, not with a measured point."""
    band: list[Foretold]
    """From the first size to ten times the last, for a figure."""
    targets: dict[str, tuple[int | None, int | None, int | None]] = {}
    """Accuracy -> images to learn from: if all goes well, likely, to be safe; None: beyond forty times the images."""
    gains: list[tuple[str, float, float]] = []
    """(class, share right now, what the last doubling brought), the largest gain first."""
    label_first: str | None = None
    """The class with mistakes left that gained most from it, beyond chance; None where none did."""
    lacking: list[tuple[str, int, float | None]] = []
    """(class, images, share right now) of those with too few images to judge or hardly ever right, the worst first."""


class MismatchRecord(Shape):
    """mismatch.json: how the target of a run lies from its train images."""

    verdict: str
    sentences: list[str]


class EnvironmentRecord(Shape):
    """environment.json."""

    python: str = ""
    platform: str = ""
    cpu: str = ""
    cores: int | None = None
    memory_gb: float | None = None
    gpu: str | None = None
    packages: dict[str, str] = {}
    git_commit: str | None = None
    started: str = ""
    command: str = ""


class Bin(Shape):
    """The images whose confidence lies in low..high; `confidence` and `accuracy` are None where there are none."""

    low: float
    high: float
    count: float
    """Answers in the bin, weighted as the images are; for several labels each image has one answer per label."""
    confidence: float | None
    accuracy: float | None


def _bins(value: Any) -> Any:
    """Take `{"bins": [...]}` and the bare list."""
    return value.get("bins") if isinstance(value, dict) else value or []


Bins = Annotated[list[Bin], BeforeValidator(_bins)]


class ClassScores(Shape):
    """What was measured of one class; None where it is undefined."""

    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    support: int = 0
    auroc: float | None = None
    average_precision: float | None = None


class Details(Shape):
    """One split of details.json."""

    per_class: dict[str, ClassScores] = {}
    confusion: list[list[Any]] | None = None
    """Rows are the true class, columns the predicted one; not read for several labels per image."""
    reliability: Bins = []
    reliability_uncalibrated: Bins = []
    temperature: float | None = None
    threshold: float | list[float] | None = None
    """From which probability on a label is given, one for all or one for each class; None for one class an image."""


class Compared(Shape):
    """A paired comparison of two methods on the same images: metric of `a` minus metric of `b`."""

    metric: str
    a: str
    b: str
    difference: Interval
    probability_a_better: float | None = None
    verdict: str = ""
    """`better` or `worse` where both tests agree that `a` differs; else another word."""


class FoldRow(Shape):
    """One fold of one method."""

    fold: int
    train: int
    val: int
    best_epoch: int | None = None
    metrics: dict[str, Interval]


class Spread(Shape):
    """A metric over the folds; None where it is undefined."""

    mean: float | None
    deviation: float | None
    low: float | None
    high: float | None
    corrected_low: float | None
    corrected_high: float | None


class FoldsOfMethod(Shape):
    """What the folds say of one method."""

    folds: list[FoldRow] = Field(min_length=1)
    spread: dict[str, Spread]
    out_of_fold: dict[str, Interval]

    @property
    def mean(self) -> dict[str, Interval]:
        """Return the mean of each metric with its interval by Student's t."""
        return {name: Interval(value=s.mean, low=s.low, high=s.high) for name, s in self.spread.items()}

    @property
    def corrected(self) -> dict[str, Interval]:
        """Return the mean of each metric with the interval that allows for shared training images."""
        return {name: Interval(value=s.mean, low=s.corrected_low, high=s.corrected_high)
                for name, s in self.spread.items()}


class FoldsRecord(Shape):
    """folds.json, which a cross-validated run has."""

    folds: int
    images: int
    methods: dict[str, FoldsOfMethod] = Field(min_length=1)


class RatesRecord(Shape):
    """What the learning-rate finder saw of one method."""

    factors: list[float]
    losses: list[float]
    chosen: float


class Verdict(Shape):
    """What the overfitting watch says of one method."""

    verdict: str
    text: str
    numbers: dict[str, Any] = {}
    advice: list[str] = []
