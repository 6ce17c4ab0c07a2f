"""Lookalikes: near copies that the perceptual hash can't see (mirrored, cropped, turned a little), by their features.

Two images are taken for copies where each is among the other's nearest, their cosine is high, they are much nearer to
each other than to the rest of their surroundings, and their small pictures agree once one is laid over the other. The
third test lets data pass whose images are all alike (two scans of one organ are close, but no closer than to a dozen
others), the last one two views of one thing. `docs/benchmarks.md` has what was measured.
"""

from __future__ import annotations

import numpy as np

from headstart.adaptation import choose_device
from headstart.backbones.backbone import Backbone
from headstart.backbones.resolve import AUTO, load
from headstart.data.check import Finder
from headstart.data.dataset import Dataset
from headstart.data.duplicates import thumbnail
from headstart.data.fingerprint import content_hashes
from headstart.errors import ResourceError
from headstart.events import Listen, Note
from headstart.features.store import FeatureStore
from headstart.files import cache_folder
from headstart.images import decode
from headstart.neighbours import QUERIES, centre, nearest
from headstart.selection.alignment import aligned_correlation

# N images, D features, P pairs

COSINE = 0.7
"""Least cosine of the centred features of two copies ..."""
RATIO = 0.3
"""... largest share that their distance (1 - cosine) has of that to their surroundings ..."""
CORRELATION = (0.85, 0.95)
"""... and least correlation of their thumbnails, laid over each other, without and with a mirror: a mirrored copy has
every pixel of the first, while a thing seen from its other side comes near it."""
SURROUNDINGS = 10
"""Which neighbour the surroundings begin with: more copies of one image than this are found by the hash alone."""
MUTUAL = 3
"""Each copy is among so many nearest ones of the other."""
LEAST = 24
"""Fewer images than this have no surroundings to compare with."""
MOST = 5_000
"""More images than this are not looked at unless asked for: it would take minutes."""


def finder(images: int, wanted: bool | None, listen: Listen) -> Finder | None:
    """Return what finds near copies by the features of the default backbone, or None where it is not to be used.

    images: how many there are. wanted: None decides by whether that backbone's weights are here and the images few.
    Raises ResourceError where it is wanted and can't be had.
    """
    if wanted is False or (wanted is None and images < LEAST):
        return None
    if wanted is None and images > MOST:
        listen(Note(f"near copies are looked for by their perceptual hash alone: more than {MOST} images. --features "
                    "compares their features, too."))
        return None
    try:
        backbone, _ = load(AUTO)
    except ResourceError as error:
        if wanted:
            raise
        listen(Note(f"near copies are looked for by their perceptual hash alone: {error}"))
        return None
    return lambda dataset: lookalikes(dataset, backbone, listen=listen)


def lookalikes(dataset: Dataset, backbone: Backbone, *, listen: Listen) -> list[tuple[str, str]]:
    """Return the pairs of ids that are copies by their features; of files with the same bytes the first stands for all.

    The features are kept, and found again by every verb that uses this backbone.
    """
    contents = content_hashes(dataset)
    first = {content: row for row, content in reversed(list(enumerate(contents)))}
    distinct = dataset.subset(sorted(first.values()))
    if len(distinct) < LEAST:
        return []
    store = FeatureStore(cache_folder() / "features", images=len(dataset))
    features = store.features(backbone, backbone.spec.preprocessing, distinct, listen=listen,
                              device=choose_device(AUTO))
    pairs = alike_pairs(features)
    pairs = pairs[_agree(distinct, pairs)]
    return [(distinct.samples[i].id, distinct.samples[j].id) for i, j in pairs.tolist()]


def _agree(dataset: Dataset, pairs: np.ndarray) -> np.ndarray:
    """Return bool [P]: whether the thumbnails of each pair agree, one laid over the other. pairs: int64 [P, 2]."""
    if not len(pairs):
        return np.zeros(0, bool)
    rows, places = np.unique(pairs, return_inverse=True)
    small = np.stack([thumbnail(decode(dataset.samples[row].source)) for row in rows])
    first, second = places.reshape(-1, 2).T
    return np.asarray((aligned_correlation(small[first], small[second]) >= CORRELATION).any(axis=1))


def alike_pairs(features: np.ndarray) -> np.ndarray:
    """Return int64 [P, 2], i < j, sorted: what the features take for copies of each other. features: float [N, D]."""
    if len(features) < LEAST:
        return np.zeros((0, 2), np.int64)
    mean, cosines, places = centre(features), [], []
    for start in range(0, len(features), QUERIES):
        rows = np.arange(start, min(start + QUERIES, len(features)))
        found = nearest(features, features[rows], mean, SURROUNDINGS, apart=(np.arange(len(features)), rows))
        cosines.append(found[0])
        places.append(found[1])
    return copies(np.concatenate(cosines), np.concatenate(places))


def copies(cosines: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the pairs, int64 [P, 2], from the nearest of each image: cosines [N, k], falling, and places [N, k]."""
    around = 1 - cosines[:, -1]
    rows = np.repeat(np.arange(len(places)), MUTUAL)
    others, near = places[:, :MUTUAL].ravel(), cosines[:, :MUTUAL].ravel()
    mutual = (places[others, :MUTUAL] == rows[:, None]).any(axis=1)
    apart = 1 - near <= RATIO * np.minimum(around[rows], around[others])
    kept = mutual & apart & (near >= COSINE) & (rows < others)
    return np.stack([rows[kept], others[kept]], axis=1)
