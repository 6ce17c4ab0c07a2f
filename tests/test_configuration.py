import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from headstart.configuration import override, parse_yaml, read_yaml, to_yaml
from headstart.data.labels import SEPARATORS
from headstart.errors import ConfigError

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-10**9, 10**9) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz_", min_size=1, max_size=5), inner),
    max_leaves=12)


def test_words_that_yaml_1_1_takes_for_values_stay_text() -> None:
    assert parse_yaml("[no, yes, on, off, 0123, 1_000, 12:30:45]") == [
        "no", "yes", "on", "off", "0123", "1_000", "12:30:45"]


def test_numbers_booleans_and_null_are_values() -> None:
    assert parse_yaml("[1, -2, 1.5, 1e-3, 1.e3, true, False, null, ~]") == [
        1, -2, 1.5, 0.001, 1000.0, True, False, None, None]


@pytest.mark.parametrize("text", ["0E0", "1e5", "-3E2", "1E+3", "1.e5", "no", "012", "1_000", "true", "~"])
def test_text_that_looks_like_a_value_is_written_as_text(text: str) -> None:
    assert parse_yaml(to_yaml({"key": text})) == {"key": text}


@pytest.mark.parametrize("value", [1e-5, 1e300, 5e-324, -0.0, 1.5, 100000, True, None])
def test_values_are_written_as_values(value: object) -> None:
    assert parse_yaml(to_yaml({"key": value})) == {"key": value}
    assert "'" not in to_yaml({"key": value})


@given(PLAIN)
def test_what_is_written_reads_back_equal(value: object) -> None:
    assert parse_yaml(to_yaml({"key": value})) == {"key": value}


def test_a_key_that_stands_twice_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r'line 3: the key "seed" stands twice'):
        parse_yaml("seed: 1\ndata: x\nseed: 2\n")


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "- x\nb: 1", "a: !!python/object/apply:os.getcwd []"])
def test_text_that_is_not_yaml_is_a_config_error(text: str) -> None:
    with pytest.raises(ConfigError, match=r"job\.yaml"):
        parse_yaml(text, where="job.yaml")


@given(st.text(max_size=60))
def test_any_text_is_a_value_or_a_config_error(text: str) -> None:
    try:
        parse_yaml(text)
    except ConfigError:
        return


def test_a_file_that_is_missing_or_no_mapping_is_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yaml: can't be read"):
        read_yaml(tmp_path / "missing.yaml")
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(ConfigError, match=r"list.yaml: expected settings .* found a list"):
        read_yaml(tmp_path / "list.yaml")


def test_override_sets_nested_values_by_number_and_by_name() -> None:
    values = {"method": ["probe", {"method": "finetune", "epochs": 10}], "seed": 0}
    by_number = override(values, ["method.1.epochs=5", "seed=7"])
    by_name = override(values, ["method.finetune.epochs=5", "seed=7"])
    assert by_number == by_name == {"method": ["probe", {"method": "finetune", "epochs": 5}], "seed": 7}
    assert values["method"][1] == {"method": "finetune", "epochs": 10}


def test_override_turns_a_bare_name_into_a_record() -> None:
    assert override({"method": "probe"}, ["method.0.l2=0.1"]) == {"method": [{"method": "probe", "l2": 0.1}]}


@pytest.mark.parametrize(("assignment", "message"), [
    ("epochs", "write it as key=value"),
    ("=3", "write it as key=value"),
    ("method.4.epochs=5", r'no item "4" among probe, finetune \(0 to 1\)'),
    ("method.fintune.epochs=5", 'no item "fintune"'),
    ("seed.deep=5", '"seed" is a single value'),
])
def test_an_assignment_that_leads_nowhere_says_why(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override({"method": ["probe", "finetune"], "seed": 0}, [assignment])


def test_files_that_other_yaml_readers_read_agree_on_plain_values() -> None:
    text = to_yaml({"names": ["no", "0123", "null", ""], "n": 3})
    assert yaml.safe_load(text) == parse_yaml(text)


def test_a_word_can_be_given_settings_of_its_own() -> None:
    found = override({}, ["method=finetune", "method.finetune.mix=mixup", "method.finetune.mix.alpha=0.4"])
    assert found == {"method": [{"method": "finetune", "mix": {"mix": "mixup", "alpha": 0.4}}]}


@pytest.mark.parametrize(("words", "expected"), [
    (["method=finetune", "method.finetune.regularisers=[l2_sp]", "method.finetune.regularisers.l2_sp.strength=0.1"],
     {"method": [{"method": "finetune", "regularisers": [{"regulariser": "l2_sp", "strength": 0.1}]}]}),
    (["baselines=finetune", "baselines.finetune.epochs=1"], {"baselines": [{"method": "finetune", "epochs": 1}]}),
])
def test_parts_in_lists_are_found_by_their_names(words, expected) -> None:
    assert override({}, words) == expected


@pytest.mark.parametrize(("words", "expected"), [
    (["detector=yolox", "detector.width=0.5"], {"detector": {"detector": "yolox", "width": 0.5}}),
    (["slices=240", "slices.overlap=0.3"], {"slices": {"size": 240, "overlap": 0.3}}),
    (["slices.overlap=0.3", "slices=240"], {"slices": {"size": 240, "overlap": 0.3}}),
    (["detector.width=0.25", "detector=yolox"], {"detector": {"detector": "yolox", "width": 0.25}}),
    (["detector=fcos", "detector.width=96", "detector=yolox"], {"detector": "yolox"}),
])
def test_a_value_that_stands_for_a_record_can_be_given_more(words, expected) -> None:
    assert override({}, words) == expected


def test_a_plain_word_has_no_settings() -> None:
    with pytest.raises(ConfigError, match='"backbone" is a single value, it has no "foo"'):
        override({"backbone": "efficientnet_lite0"}, ["backbone.foo=1"])


@pytest.mark.parametrize("mark", [*SEPARATORS, ">", "&", "*", "#", "-", "!", "@", "||", " | "])
def test_a_mark_that_yaml_begins_something_with_is_text_in_an_assignment(mark: str) -> None:
    assert override({}, [f"reader.separator={mark}"]) == {"reader": {"separator": mark.strip()}}


def test_pairs_of_marks_and_words_with_marks_are_still_yaml() -> None:
    assert override({}, ["a=[]", "b={}", "c=''", "d='|'", "e=[1, 2]", "f=", "g=-1"]) == {
        "a": [], "b": {}, "c": "", "d": "|", "e": [1, 2], "f": None, "g": -1}
