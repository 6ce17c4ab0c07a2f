"""What every backbone promises, over small members of each family and source (fresh weights, small images)."""

import copy
import io
import pickle
from functools import cache

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from headstart.backbones import resolve
from headstart.backbones.backbone import Backbone, BackboneSpec, Source
from headstart.catalog import Catalog

NAMES = ("efficientnet_lite0", "mobilenet_v2", "timm/test_resnet", "timm/test_vit", "timm/test_efficientnet",
         "timm/test_convnext", "timm/mobilenetv3_small_050", "torchvision/shufflenet_v2_x0_5",
         "torchvision/squeezenet1_1", "torchvision/mobilenet_v3_small",
         "transformers/PekingU/rtdetr_r18vd", "yolox_nano")
every_backbone = pytest.mark.parametrize("name", NAMES)


@cache
def fresh(name: str) -> Backbone:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return resolve.load(name, pretrained=False)[0]


def images(name: str, size: int = 64) -> torch.Tensor:
    size = max(size, 160) if name == "timm/test_vit" and size == 64 else size
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


@every_backbone
def test_pooled_vector_has_the_declared_width(name: str) -> None:
    with torch.no_grad():
        vectors = fresh(name).pooled(images(name))
    assert vectors.shape == (2, fresh(name).width)
    assert vectors.dtype == torch.float32
    assert torch.isfinite(vectors).all()


@every_backbone
def test_classifier_reads_the_pooled_vector(name: str) -> None:
    classifier = fresh(name).classifier
    if classifier is not None:
        assert classifier(torch.zeros(2, fresh(name).width)).shape == (2, 1000)
        own = {id(p) for p in fresh(name).parameters()}
        assert not own & {id(p) for p in classifier.parameters()}


@every_backbone
def test_maps_have_the_stride_they_are_named_for_finest_first(name: str) -> None:
    pixels = images(name, 160)
    with torch.no_grad():
        maps = fresh(name).maps(pixels)
    assert list(maps) == sorted(maps)
    for stride, found in maps.items():
        assert found.ndim == 4
        assert all(abs(side - 160 / stride) <= 1 for side in found.shape[2:]), (stride, found.shape)


@every_backbone
def test_stages_hold_every_parameter_exactly_once(name: str) -> None:
    held = [id(p) for group in fresh(name).groups() for p in group]
    assert sorted(held) == sorted(id(p) for p in fresh(name).parameters())
    assert len(fresh(name).stages()) >= 4


@every_backbone
def test_stages_come_in_the_order_of_the_forward_pass(name: str) -> None:
    backbone, ran = fresh(name), []
    hooks = [module.register_forward_hook(lambda _m, _i, _o, position=position: ran.append(position))
             for position, stage in enumerate(backbone.stages())
             for module in stage.modules() if list(module.parameters(recurse=False)) and hasattr(module, "weight")]
    with torch.no_grad():
        backbone.pooled(images(name))
    for hook in hooks:
        hook.remove()
    first_runs = list(dict.fromkeys(ran))
    assert first_runs == sorted(first_runs)


@every_backbone
def test_record_counts_the_parameters_that_are_there(name: str) -> None:
    spec = fresh(name).spec
    assert spec.parameters in (None, sum(p.numel() for p in fresh(name).parameters()))


@every_backbone
def test_saved_record_rebuilds_the_model_that_takes_its_weights(name: str) -> None:
    spec = BackboneSpec.model_validate_json(fresh(name).spec.model_dump_json())
    other = resolve.rebuild(spec)
    other.load_state_dict(fresh(name).state_dict())
    assert other.weights_hash() == fresh(name).weights_hash()
    with torch.no_grad():
        torch.testing.assert_close(other(images(name)), fresh(name)(images(name)), rtol=0, atol=0)


@every_backbone
def test_copies_and_pickles_are_equal_and_apart(name: str) -> None:
    original = fresh(name)
    for other in (copy.deepcopy(original), pickle.loads(pickle.dumps(original))):
        assert other.weights_hash() == original.weights_hash()
        next(other.parameters()).data.add_(1.0)
        assert other.weights_hash() != original.weights_hash()


@every_backbone
def test_takes_images_of_another_size(name: str) -> None:
    with torch.no_grad():
        assert fresh(name).pooled(images(name, 128)).shape == (2, fresh(name).width)


@every_backbone
@pytest.mark.parametrize("channels", [1, 4])
def test_takes_other_channels(name: str, channels: int) -> None:
    backbone, _ = resolve.load(name, channels=channels, pretrained=False)
    assert backbone.spec.preprocessing.channels == channels
    assert len(backbone.spec.preprocessing.mean) == len(backbone.spec.preprocessing.std) == channels
    with torch.no_grad():
        assert backbone.pooled(torch.randn(1, channels, 160, 160)).shape == (1, backbone.width)


@every_backbone
@pytest.mark.filterwarnings("ignore")
def test_exports_to_onnx_for_any_batch(name: str) -> None:
    file = io.BytesIO()
    torch.onnx.export(fresh(name), (images(name),), file, dynamo=False, input_names=["images"],
                      output_names=["vectors"], dynamic_axes={"images": {0: "batch"}, "vectors": {0: "batch"}})
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    three = torch.cat([images(name), images(name)[:1]])
    with torch.no_grad():
        expected = fresh(name)(three).numpy()
    found = session.run(None, {"images": three.numpy()})[0]
    np.testing.assert_allclose(found, expected, atol=1e-3 * max(1.0, np.abs(expected).max()))


@every_backbone
def test_everything_frozen_stays_in_eval_mode(name: str) -> None:
    backbone = copy.deepcopy(fresh(name)).freeze("all").train()
    assert not any(module.training for module in backbone.modules())
    assert not any(p.requires_grad for p in backbone.parameters())
    backbone.freeze(0).train()
    assert all(p.requires_grad for p in backbone.parameters())
    assert all(m.training for m in backbone.modules() if isinstance(m, nn.BatchNorm2d))


@pytest.mark.parametrize("source", resolve.source_names())
def test_every_source_lists_records_that_it_finds_again(source: str) -> None:
    origin = Catalog("backbones", Source).get(source)()
    specs = origin.specs()
    assert len({spec.architecture for spec in specs}) == len(specs)
    for spec in specs[::9]:
        assert origin.find(spec.architecture) == spec
        assert spec.source == source
        assert spec.availability == "here" or spec.hint
        assert spec.license == spec.license.lower()
