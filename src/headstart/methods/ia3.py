"""IA3: the backbone stays as it is; one factor for each output of its layers learns."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from headstart.adapter import Recipe, adaptable
from headstart.backbones.backbone import Backbone
from headstart.data.dataset import Splits
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.part import Words
from headstart.training.beside import train_beside
from headstart.training.plan import Plan


class Ia3(Plan, Method):
    """Trains a factor on every output of the backbone's layers, and the head: less than a percent of the parameters.

    A layer computes l (W x + b), where l starts at one. After training l is multiplied into W and b, so that the model
    is as fast as before. Source: Liu et al., "Few-shot parameter-efficient fine-tuning is better and cheaper than
    in-context learning", NeurIPS 2022.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel")
    needs: ClassVar[tuple[str, ...]] = ("probe",)

    layers: Words = ()
    """Parts of names of the layers to adapt, such as attn.qkv; without, every linear layer and convolution but the
    stem's."""
    lr_backbone: float = Field(1e-2, gt=0, le=10)
    """Highest learning rate of the factors."""
    weight_decay: float = Field(0.0, ge=0, le=10)
    """AdamW's pull towards zero, which is no good place for a factor that starts at one."""
    scope: Literal["adapter"] = "adapter"
    """Adapter and head; to train parts of the backbone itself, use finetune."""
    batch_norm: Literal["frozen"] = "frozen"
    """The backbone's statistics stay, so that the adapter alone makes the model."""

    def refuse_unfit(self, model: Model, splits: Splits) -> None:
        """Raise ConfigError where no layer can have such an adapter, ResourceError where peft is missing."""
        self.recipe(model.backbone)

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return `model` with the adapter of the best epoch merged in. Raises as `refuse_unfit` and `train`."""
        return train_beside(model, splits, self, context, recipe=self.recipe(model.backbone))

    def recipe(self, backbone: Backbone) -> Recipe:
        """Return which layers of the backbone get what."""
        return Recipe(kind="ia3", layers=adaptable(backbone, "ia3", wanted=self.layers))
