"""A batch of each domain as an alignment sees it, and slow arithmetic in float64 to hold it against."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from headstart.alignments.alignment import Pair, View

# B source images, T target images, D features, C classes

Layers = list[tuple[np.ndarray, np.ndarray]]


def view(head: nn.Module, features: np.ndarray | torch.Tensor) -> View:
    """Return features that collect their gradient, and what the head says of them."""
    leaf = torch.as_tensor(features, dtype=torch.float32).clone().requires_grad_()
    return View(leaf, head(leaf))


def pair(sources: int = 5, targets: int = 7, *, width: int = 6, classes: int = 4, progress: float = 0.5,
         seed: int = 0) -> Pair:
    """Return a random pair whose target lies beside the source, with a head that is sure of some images."""
    rng = np.random.default_rng(seed)
    head = nn.Linear(width, classes)
    with torch.no_grad():
        head.weight.copy_(torch.as_tensor(rng.normal(0, 1.5, (classes, width))))
        head.bias.copy_(torch.as_tensor(rng.normal(0, 0.1, classes)))
    source, target = rng.normal(0, 1, (sources, width)), rng.normal(0.5, 1.5, (targets, width))
    return Pair(source=view(head, source), labels=torch.as_tensor(rng.integers(0, classes, sources)),
                target=view(head, target), head=head, progress=progress,
                strong=view(head, target + rng.normal(0, 0.5, target.shape)),
                reference=view(head, source + rng.normal(0, 0.5, source.shape)),
                pseudo=torch.as_tensor(rng.integers(0, classes, targets)))


def of_target_logits(logits: np.ndarray) -> Pair:
    """Return a pair whose target has the given logits [T, C], which collect their gradient."""
    leaf = torch.as_tensor(logits, dtype=torch.float32).clone().requires_grad_()
    return replace(pair(targets=len(leaf), classes=leaf.shape[1]), target=View(torch.zeros(len(leaf), 6), leaf))


def of_features(source: np.ndarray, target: np.ndarray) -> Pair:
    """Return a pair of the given features, [B, D] and [T, D]."""
    found = pair(len(source), len(target), width=source.shape[1])
    return replace(found, source=view(found.head, source), target=view(found.head, target))


def double(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def gradient(tensor: torch.Tensor) -> np.ndarray:
    """Return what `tensor` has collected, zeros where that is nothing."""
    return np.zeros(tensor.shape) if tensor.grad is None else double(tensor.grad)


def slopes(function: Callable[[np.ndarray], float], at: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Return the gradient of a function of an array by central differences."""
    found = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        moved = np.zeros_like(at)
        moved[index] = step
        found[index] = (function(at + moved) - function(at - moved)) / (2 * step)
    return found


def layers(module: nn.Module) -> Layers:
    """Return weights and biases of the linear layers of a network."""
    return [(double(layer.weight), double(layer.bias)) for layer in module.modules() if isinstance(layer, nn.Linear)]


def perceptron(found: Layers, values: np.ndarray) -> np.ndarray:
    """Return the answers of linear layers with ReLUs between them."""
    for weight, bias in found[:-1]:
        values = np.maximum(values @ weight.T + bias, 0)
    weight, bias = found[-1]
    return values @ weight.T + bias


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.array([[1 / sum(np.exp(other - z) for other in row) for z in row] for row in logits])


def entropies(probabilities: np.ndarray) -> np.ndarray:
    return np.array([-sum(p * np.log(p) for p in row) for row in probabilities])


def domain_cost(found: Layers, source: np.ndarray, target: np.ndarray) -> float:
    """Return the cross-entropy of a discriminator, mean of the two domains' means."""
    of_source = [np.log1p(np.exp(-z)) for z in perceptron(found, source)[:, 0]]
    of_target = [np.log1p(np.exp(z)) for z in perceptron(found, target)[:, 0]]
    return float(np.mean(of_source) + np.mean(of_target)) / 2


def value(module: nn.Module, given: Pair) -> float:
    return float(module(given).detach())
