import pytest

from posenet.io.json_files import parse_json, read_json


def test_values_are_those_of_the_text(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": [1, -2.5, 1732839283123456789, null, "\u00e9"]}', encoding="utf-8")
    assert read_json(path) == {"a": [1, -2.5, 1732839283123456789, None, "\u00e9"]}
    assert parse_json(b"[1e300]") == [1e300]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "it is nested too deep"),
        ('{"a":' * 100_000, "it is nested too deep"),
        ("[1" + "0" * 400 + "]", "a number of 401 digits is too large"),
        ("[-1" + "0" * 19 + "]", "a number of 20 digits is too large"),
        ("[1e400]", "the number 1e400 is too large"),
        ("[-1e400]", "the number -1e400 is too large"),
        ("[1", "Expecting"),
        (b"\xff\xff", "codec can't decode"),
    ],
)
def test_whatever_cannot_be_parsed_is_one_kind_of_error(text, message):
    with pytest.raises(ValueError, match=message):
        parse_json(text)
