import numpy as np
import pytest

from posenet.mapping.matching import match


def unit(values):
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def matches_one_by_one(first, second, ratio):
    """Mutual nearest neighbors with Lowe's ratio on squared distances, by loops."""
    similarity = first.astype(float) @ second.T.astype(float)
    found = []
    for row, values in enumerate(similarity):
        column, other = np.argsort(-values)[:2]
        is_distinctive = (1 - values[column]) < ratio**2 * (1 - values[other])
        if is_distinctive and similarity[:, column].argmax() == row:
            found.append((row, int(column)))
    return found


@pytest.mark.parametrize(("num_first", "num_second"), [(700, 650), (256, 90), (3, 900), (2, 2)])
def test_matches_are_those_of_a_loop(num_first, num_second):
    rng = np.random.default_rng(num_first)
    second = unit(rng.normal(size=(num_second, 16)))
    # The first half are disturbed copies, in another order; the others match by chance only.
    copies = second[rng.permutation(num_second)[: num_first // 2]]
    copies = copies + 0.1 * rng.normal(size=copies.shape)
    others = rng.normal(size=(num_first - len(copies), 16))
    first = unit(np.concatenate([copies, others]))
    expected = matches_one_by_one(first, second, 0.8)
    assert len(expected) >= min(num_first, num_second) // 5
    found = match(first, second, ratio=0.8)
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == expected


def test_equal_neighbors_across_blocks_prefer_the_first():
    second = unit(np.eye(16))
    first = np.concatenate([second, np.tile(second[:1], (300, 1))])
    found = match(first, second)
    assert found.first.tolist() == list(range(16))
    assert found.second.tolist() == list(range(16))
