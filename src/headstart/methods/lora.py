"""LoRA: the backbone stays as it is; beside its layers, products of two thin matrices learn."""

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


class Lora(Plan, Method):
    """Trains low-rank changes of the backbone's layers, and the head: a few percent of the parameters.

    A layer with the weights W computes (W + alpha/rank B A) x, where A has `rank` rows and B starts at zero. After
    training the product is added to W, so that the model is as fast as before.
    Source: Hu et al., "LoRA", ICLR 2022.
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
    lr_backbone: float = Field(3e-3, gt=0, le=10)
    """Highest learning rate of the adapter: it starts from zero, so there is nothing in it to protect."""
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
        layers = adaptable(backbone, "lora", wanted=self.layers, rank=self.rank)
        return Recipe(kind="lora", layers=layers, rank=self.rank, alpha=self.alpha, dropout=self.adapter_dropout)
