"""Divergence: how far one set of answers is from another, softened by a temperature."""

from __future__ import annotations

import torch
from torch.nn import functional

# B images, C classes


def soft_loss(student_logits: torch.Tensor, teacher_logits: torch.Tensor, *, temperature: float,
              several: bool) -> torch.Tensor:
    """Return [B], T^2 KL(teacher || student) with both logits divided by T; no gradient goes to the teacher.

    T^2 keeps the gradient's size as T changes (Hinton et al., section 2.1). several: any number of labels an image;
    then it is the mean over the classes of the divergence between two coins. logits: float [B, C].
    """
    student, teacher = student_logits.float() / temperature, teacher_logits.detach().float() / temperature
    if several:
        yes, no = functional.logsigmoid(teacher), functional.logsigmoid(-teacher)
        divergence = (yes.exp() * (yes - functional.logsigmoid(student))
                      + no.exp() * (no - functional.logsigmoid(-student))).mean(dim=1)
    else:
        log_teacher = functional.log_softmax(teacher, dim=1)
        divergence = (log_teacher.exp() * (log_teacher - functional.log_softmax(student, dim=1))).sum(dim=1)
    return temperature**2 * divergence
