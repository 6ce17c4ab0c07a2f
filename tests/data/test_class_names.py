"""Names that mean one class are matched, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from headstart.data.class_names import VOC, matched

lists = st.lists(st.text("aB _-", max_size=4), unique=True, max_size=6)


def test_equal_names_are_matched_whatever_their_order() -> None:
    assert matched(["b", "c", "a"], ["a", "b"]) == [(0, 1), (2, 0)]


def test_case_and_separators_make_no_other_class() -> None:
    assert matched(["Traffic_Light", "stop-sign", "cup"], ["traffic light", "stop sign", "cups"]) == [(0, 0), (1, 1)]


def test_voc_and_coco_call_six_classes_by_two_names() -> None:
    voc, coco = list(VOC), list(VOC.values())
    both = [(place, place) for place in range(6)]
    assert matched(voc, coco) == matched(coco, voc) == both
    assert matched(["TV monitor", "dining_table"], coco) == [(0, 5), (1, 1)]


def test_numbers_are_no_separators_of_each_other() -> None:
    assert matched(["1-1", "1_0", "__"], ["11", "10", "--"]) == []


def test_a_name_that_could_mean_two_classes_is_left_alone() -> None:
    assert matched(["dog"], ["Dog", "DOG"]) == []
    assert matched(["dog"], ["Dog", "dog"]) == [(0, 1)]
    assert matched(["Dog", "dog"], ["dog"]) == [(1, 0)]
    assert matched(["sofa", "couch"], ["couch"]) == [(1, 0)]


@given(lists, lists)
def test_each_class_is_matched_once_at_most_and_equal_names_always(names: list[str], known: list[str]) -> None:
    pairs = matched(names, known)
    assert len({mine for mine, _ in pairs}) == len({its for _, its in pairs}) == len(pairs)
    assert {names[mine] for mine, its in pairs if names[mine] == known[its]} == set(names) & set(known)
    assert sorted((its, mine) for mine, its in pairs) == matched(known, names)
