"""DoRA: like LoRA, but how long a row of the weights is and where it points learn apart."""

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


class Dora(Plan, Method):
    """Trains low-rank changes of the direction of the backbone's weights, their lengths, and the head.

    The weights of each output become m (W + alpha/rank B A) / |W + alpha/rank B A|, where m starts at |W|, A has `rank`
    rows and B starts at zero. After training they are put in the place of W, so that the model is as fast as before.
    Source: Liu et al., "DoRA", ICML 2024.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel")
    needs: ClassVar[tuple[str, ...]] = ("probe",)

    rank: int = Field(4, ge=1, le=1024)
    """Rows of A: how rich the change of a layer can be."""
    alpha: float = Field(8, gt=0, le=10_000)
    """The change is multiplied by alpha/rank."""
    adapter_dropout: float = Field(0.0, ge=0, lt=1)
    """Chance that an input of A is left out in a step."""
    layers: Words = ()
    """Parts of names of the layers to adapt, such as attn.qkv; without, every linear layer and ordinary convolution
    but the stem's, where the adapter is smaller than the layer."""
    lr_backbone: float = Field(1e-3, gt=0, le=10)
    """Highest learning rate of the adapter: it starts from zero, so there is nothing in it to protect."""
    weight_decay: float = Field(0.0, ge=0, le=10)
    """AdamW's pull towards zero, which is no good place for the lengths of pretrained weights."""
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
        layers = adaptable(backbone, "dora", wanted=self.layers, rank=self.rank)
        return Recipe(kind="dora", layers=layers, rank=self.rank, alpha=self.alpha, dropout=self.adapter_dropout)
