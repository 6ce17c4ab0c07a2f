"""Transfer: try the quick ways to another domain, take the one that the target's images speak for, train if it pays."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from pydantic import Field, field_validator

from headstart.catalog import Catalog
from headstart.data.dataset import Splits
from headstart.domains.guarding import NORM, judged
from headstart.domains.judging import answered, evidence_of, groundless, verdict, verdicts
from headstart.domains.shares import ground, not_to_be_judged, other_shares, shares_told
from headstart.domains.target_method import TargetMethod
from headstart.errors import HeadstartError, Interrupted
from headstart.events import Event, Judged, Note
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.part import NamedError, Words
from headstart.validators.validator import NONE, USUAL, GuardName

START = "the start"
BY_HALF = "label_shift"
"""What is done where the shares are others and nothing else helps: by half, since nothing can judge it."""


class Transfer(Method):
    """What `--method auto` does where a target is named. Nothing that the validator holds for worse is ever taken.

    First the candidates on cached features, in seconds each. If the best of them leaves much to gain (its score is
    below `enough`), the methods of `train` go on from it, each kept only if its score is higher still. Where the
    model's answers are hardly more than guessing, only those of `train` that do not build on them are tried. Where the
    target seems to show the classes in other shares than the source, what presupposes like ones is not tried, and
    where nothing is taken `label_shift` corrects for the shares by half.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    needs: ClassVar[tuple[str, ...]] = ("probe",)
    needs_target: ClassVar[bool] = True

    candidates: Words = ("coral", "propagation", "prototypes", "t3a")
    """The quick methods to try."""
    train: Words = ("adabn", "shot")
    """The slow methods, for where the quick ones leave much to gain; `none` for none."""
    enough: float = Field(0.93, ge=-1, le=1)
    """Score of `select` from which on no training would pay."""
    select: GuardName = USUAL
    """The validator that chooses among them; no label of the target is looked at."""

    @field_validator("candidates", "train")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        able = list(_methods())
        wrong = [name for name in value if name not in able and value != (NONE,)]
        if wrong:
            raise NamedError(f"{wrong[0]} is none of the methods that can be tried: {', '.join(able)}. An alignment is "
                             "trained with by `align`, or on its own by `--method NAME`.")
        return () if value == (NONE,) else value

    @field_validator("select")
    @classmethod
    def _chosen(cls, value: str) -> str:
        if value == NONE:
            raise NamedError("select needs a validator; to take a method whatever it is like, name it with "
                             "guard=none.")
        return value

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the best of all, or `model` where nothing is better. What each came to is told."""
        best, name = model, START
        first = seen = evidence_of(model, splits, context)
        scores, (share, enough) = verdicts(first), ground(first, self.select)
        context.listen(Judged(self.part_name, 0, scores))
        if not enough:
            context.listen(Note(f"{groundless(self.part_name, share)} What would build on them is left out.",
                                "warning"))
        skewed = self.select == USUAL and enough and other_shares(first)
        if skewed:
            context.listen(Note(f"{self.part_name}: {shares_told(first)}. What nothing can judge there is not tried"))
        select = NORM if skewed else self.select
        score, told = scores[select], {START: scores[select]}
        for training, candidates in ((False, self.candidates), (True, self.train)):
            if training and ((score >= self.enough and not skewed) or context.remaining() <= 0):
                break
            for candidate in candidates:
                if not enough and (not training or _methods()[candidate].from_answers):
                    continue
                if skewed and not_to_be_judged(first, like_shares=_methods()[candidate].like_shares):
                    continue
                start, before = (best, name) if training else (model, START)
                found = self._tried(candidate, start, splits, context)
                if found is None:
                    continue
                evidence = answered(first, model, found, splits, context)
                value = verdict(select, evidence)
                told[f"{candidate} after {before}" if before != START else candidate] = value
                judgement = judged(first, evidence, self.select, like_shares=_methods()[candidate].like_shares)
                if value > score and judgement.taken:
                    best, name, score, seen = found, candidate, value, evidence
                elif value > score:
                    context.listen(Note(f"{self.part_name}: {candidate} is left out: {judgement.told}"))
        if skewed and name == START and (found := self._tried(BY_HALF, model, splits, context, strength=0.5)):
            best, name, seen = found, f"half of {BY_HALF}", answered(first, model, found, splits, context)
        context.listen(Judged(self.part_name, None, verdicts(seen)))
        ranked = ", ".join(f"{key} {value:.4f}" for key, value in sorted(told.items(), key=lambda item: -item[1]))
        context.listen(Note(f"{self.part_name}: {name} is taken. {select}: {ranked}"))
        return best

    def _tried(self, name: str, start: Model, splits: Splits, context: Context, **settings: object) -> Model | None:
        """Return what a method makes of the start; None where it can't do it here."""
        method = _methods()[name](**settings)

        def listen(event: Event) -> None:
            if not isinstance(event, Judged | Note):  # what it says of itself would be taken for the result's
                context.listen(event)

        inner = dataclasses.replace(context, listen=listen, workspace=context.workspace / name)
        try:
            method.refuse_unfit(start, splits)
            return method.adapted(start, splits, inner)
        except Interrupted:
            raise
        except HeadstartError as error:
            context.listen(Note(f"{self.part_name}: {name} is left out: {error}", "warning"))
            return None


def _methods() -> dict[str, type[TargetMethod]]:
    """Return the methods that adapt a classifier to a target, by name."""
    catalog: Catalog[Method] = Catalog("methods", Method)  # type: ignore[type-abstract]
    return {name: part for name, part in catalog.all().items()
            if issubclass(part, TargetMethod) and "classification" in part.tasks}
