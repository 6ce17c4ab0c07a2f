"""The pool: never test images; subsets that are nested and show every class."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import DataError
from headstart.selection.pool import nested, spread
from tests.selection.small import pool_on, write_data


def test_no_image_of_the_test_split_is_in_the_pool(data):
    pool = pool_on(data)
    inside = {sample.id for sample in pool.images.samples}
    assert len(inside) == len(pool.splits.train) + len(pool.splits.val)
    assert not inside & {sample.id for sample in pool.splits.test.samples}


def test_the_pool_is_what_a_run_of_the_same_job_learns_from(data):
    first, again, other = pool_on(data), pool_on(data), pool_on(data, seed=1)
    assert first.known_to() == again.known_to() != other.known_to()


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.integers(0, 3), st.data())
def test_every_beginning_shows_every_class_and_is_part_of_the_longer_ones(labels, seed, data):
    labels = np.array(labels)
    count = data.draw(st.integers(len(set(labels)), len(labels)))
    rows = nested(labels, count, seed=seed)
    assert len(set(rows)) == count
    assert set(labels[rows]) == set(labels)
    assert set(rows) <= set(nested(labels, len(labels), seed=seed)[:count])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 3))
def test_every_class_has_its_share_of_each_beginning(labels, seed):
    labels = np.array(labels)
    order = spread(labels, seed=seed)
    assert sorted(order) == list(range(len(labels)))
    for kind in set(labels):
        seen = np.cumsum(labels[order] == kind)
        share = (labels == kind).mean() * np.arange(1, len(labels) + 1)
        assert np.abs(seen - share).max() <= len(set(labels)) + 1


def test_one_class_is_refused_before_anything_is_read(tmp_path):
    folder = write_data(tmp_path / "d", each=10)
    for path in (folder / "strip1").iterdir():
        path.unlink()
    with pytest.raises(DataError):
        pool_on(folder)
