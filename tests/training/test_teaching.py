"""What a student is told: the teacher's view against its own preprocessing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from headstart.data.transforms import Preprocessing
from headstart.errors import ConfigError
from headstart.training.teaching import Teacher
from tests.training.small import SETTINGS, digest, model


def teaching(*, seed=0, **changes):
    made = model(seed=seed)
    with torch.no_grad():
        made.head.linear.weight.normal_(generator=torch.Generator().manual_seed(seed))
    return replace(made, **changes)


def test_a_teacher_of_the_same_preprocessing_answers_as_its_model_calibrated_and_in_the_students_order():
    taught_by = teaching(temperature=2.5)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    before = digest(taught_by)
    with torch.no_grad():
        expected = taught_by.head(taught_by.backbone.pooled(images)) / 2.5
    found = Teacher(taught_by, SETTINGS, ("left", "right"))(images.requires_grad_())
    torch.testing.assert_close(found, expected[:, [1, 0]], rtol=0, atol=1e-5)
    assert not found.requires_grad
    assert digest(taught_by) == before


def test_a_class_that_only_the_teacher_knows_is_left_out():
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    both = Teacher(teaching(), SETTINGS, ("left", "right"))(images)
    assert torch.equal(Teacher(teaching(), SETTINGS, ("right",))(images), both[:, 1:])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [32, 20, 48])
def test_the_teacher_sees_what_its_own_preprocessing_makes_of_the_students_picture(size, interpolation):
    mine = Preprocessing(size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.25, 0.2))
    own = Preprocessing(size=size, interpolation=interpolation, fit="squash")
    rng = np.random.default_rng(0)
    # Soft contrasts: where a sharp edge overshoots, Pillow cuts it off after the rows and again after the columns.
    coarse = rng.integers(80, 176, (2, 8, 8, 3)).astype(np.uint8)
    pictures = np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2)
    as_tensors = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    expected = torch.stack([own.normalise(torch.from_numpy(own.arrange(p).transpose(2, 0, 1).copy()))
                            for p in pictures])
    found = Teacher(teaching(preprocessing=own), mine, ("right", "left")).seen(mine.normalise(as_tensors))
    # Pillow rounds to whole grey levels, once for rows and once for columns.
    assert float((found - expected).abs().max()) <= 2 / 255 / min(own.std)


def test_the_teacher_never_trains():
    teacher = Teacher(teaching(), SETTINGS, ("right", "left"))
    assert not any(module.training for module in teacher.network.modules())
    assert not any(parameter.requires_grad for parameter in teacher.network.parameters())


def test_a_teacher_that_can_not_teach_is_refused():
    with pytest.raises(ConfigError, match="the teacher knows no up; it knows right, left"):
        Teacher(teaching(), SETTINGS, ("up", "left"))
    with pytest.raises(ConfigError, match=r"3 channels, the student of 1\. .*--set channels=3"):
        Teacher(teaching(), Preprocessing(size=32, channels=1, mean=(0.5,), std=(0.5,)), ("right", "left"))
