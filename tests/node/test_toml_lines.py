"""The line of every key, as an independent reading of the same text says."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridgehead.node.toml_lines import KeyPath, key_lines

EVERY_FORM = '''\
# a comment with = and [brackets]
plain = 1
"quoted key" = "a # no comment" # a comment
'literal' = 'C:\\'
dotted.inner . "last" = true

[table]
multi = """
[no.header]
not_a_key = 1
\\""" still inside"""
after = 1979-05-27 07:32:00
literal = \'\'\'
key = 2
\'\'\'\'
[[listener]]
bind = "a" # first
origins = [
  "one", # with ] and "
  "two",
  { inner = 3 },
]
[[listener]]   # second

bind = "b"
  [listener.sub]
  deep = {x = 1, y.z = [1, 2]}
[[listener.many]]
n = 1
[[listener.many]]
n = 2
[a."b.c".d]
e = -inf
'''


def test_every_form_of_key_has_its_line() -> None:
    lines = key_lines(EVERY_FORM)
    expected: dict[KeyPath, str] = {
        ("plain",): "plain",
        ("quoted key",): '"quoted key"',
        ("literal",): "'literal'",
        ("dotted", "inner", "last"): "dotted.inner",
        ("table",): "[table]",
        ("table", "multi"): "multi",
        ("table", "after"): "after",
        ("table", "literal"): "literal = '''",
        ("listener", 0, "bind"): 'bind = "a"',
        ("listener", 0, "origins", 0): '"one"',
        ("listener", 0, "origins", 1): '"two"',
        ("listener", 0, "origins", 2, "inner"): "{ inner",
        ("listener", 1): "[[listener]]   # second",
        ("listener", 1, "bind"): 'bind = "b"',
        ("listener", 1, "sub", "deep", "x"): "deep",
        ("listener", 1, "sub", "deep", "y", "z"): "deep",
        ("listener", 1, "many", 0, "n"): "n = 1",
        ("listener", 1, "many", 1, "n"): "n = 2",
        ("a", "b.c", "d", "e"): "e = -inf",
    }
    text = EVERY_FORM.split("\n")
    for path, beginning in expected.items():
        assert text[lines[path] - 1].strip().startswith(beginning), path
    assert ("not_a_key",) not in lines
    assert ("table", "not_a_key") not in lines


def paths(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    """Every path that leads to something in a parsed document."""
    inside: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    found = {path} if path else set()
    for key, item in inside:
        found |= paths(item, (*path, key))
    return found


def test_the_paths_are_those_of_tomllib() -> None:
    assert set(key_lines(EVERY_FORM)) == paths(tomllib.loads(EVERY_FORM))


KEYS = st.from_regex(r"[a-z0-9_-]{1,4}|\"[a-z .#=\[\]]{1,6}\"|'[a-z .#=\"]{1,6}'", fullmatch=True)
VALUES = st.recursive(
    st.sampled_from(["1", "-0.5", "true", '"# ]}"', "'\\'", '"""\n[x]\n"""', "'''\ny = 1\n'''", "2020-01-01", '"\\""']),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[\n" + " , # ]\n".join(items) + "\n]")
        | st.dictionaries(KEYS, inner, max_size=3).map(
            lambda items: "{" + ", ".join(f"{key} = {value}" for key, value in items.items()) + "}"
        )
    ),
    max_leaves=5,
)


@given(
    st.lists(
        st.tuples(st.sampled_from(["[{}]", "[[{}]]", "[ {}.x ]"]), KEYS, st.dictionaries(KEYS, VALUES, max_size=3)),
        max_size=4,
    )
)
def test_any_document_that_tomllib_takes_is_read_the_same(tables: list[tuple[str, str, dict[str, str]]]) -> None:
    text = ""
    for header, name, items in tables:
        text += header.format(name) + " # = [\n" + "".join(f"{key}={value}\n" for key, value in items.items())
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(key_lines(text)) == paths(document)
