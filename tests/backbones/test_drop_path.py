import torch
from torch import nn

from headstart.backbones.drop_path import residual_blocks, set_rates


class Block(nn.Module):
    """A block as timm's byobnet has them: every one drops, not every one has a shortcut."""

    def __init__(self, *, shortcut: bool, place: nn.Module | None) -> None:
        super().__init__()
        self.branch = nn.Linear(4, 4)
        self.drop_path = place
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch = self.branch(x)
        if self.drop_path is not None:
            branch = self.drop_path(branch)
        return x + branch if self.shortcut else branch


def test_a_block_without_a_shortcut_is_never_left_out():
    """What would be left of an image is nothing."""
    model = nn.Sequential(Block(shortcut=True, place=None), Block(shortcut=False, place=nn.Identity()),
                          Block(shortcut=True, place=nn.Identity()))
    assert set_rates(model, torch.ones(1, 4), 0.5) == 2
    assert [getattr(block.drop_path, "p", None) for block in model] == [0.0, None, 0.5]


def test_a_block_that_is_never_called_does_not_count():
    model = nn.Sequential(Block(shortcut=True, place=None), Block(shortcut=True, place=None))
    model[0].spare = Block(shortcut=True, place=None)
    assert set_rates(model, torch.ones(1, 4), 0.5) == 2


def test_the_trial_leaves_the_model_as_it_was():
    model = nn.Sequential(Block(shortcut=True, place=None), Block(shortcut=True, place=nn.Identity()))
    before = [(name, id(module)) for name, module in model.named_modules()]
    assert [names for _, names in residual_blocks(model, torch.ones(1, 4))] == [["drop_path"], ["drop_path"]]
    assert [(name, id(module)) for name, module in model.named_modules()] == before
    assert model[0].drop_path is None
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_single_block_gets_the_whole_rate():
    model = nn.Sequential(Block(shortcut=True, place=None))
    assert set_rates(model, torch.ones(1, 4), 0.5) == 1
    assert model[0].drop_path.p == 0.5
