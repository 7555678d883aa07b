import warnings

import llguidance
import numpy as np
import pytest

from minillm.corpora import code_problems, stdlib_functions
from minillm.programs import python_grammar


class Bytes:
    """A vocabulary of single bytes and the end, for llguidance."""

    eos_token_id, bos_token_id = 256, None
    tokens = tuple([bytes([i]) for i in range(256)] + [b"<end>"])
    special_token_ids = (256,)

    def __call__(self, text: bytes) -> list[int]:
        return list(text)


LETTERS = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Bytes()))


def matcher(grammar: str) -> llguidance.LLMatcher:
    made = llguidance.LLMatcher(LETTERS, llguidance.LLMatcher.grammar_from_lark(grammar))
    assert not made.get_error()
    return made


def accepted(body: str, grammar: str) -> bool:
    made = matcher(grammar)
    read = made.try_consume_tokens(list(body.encode()))
    return read == len(body.encode()) and made.is_accepting()


def test_all_solutions_are_inside() -> None:
    grammar = python_grammar()
    assert [p.name for p in code_problems() if not accepted("\n" + p.body, grammar)] == []


@pytest.mark.parametrize(
    "body",
    [
        "\n    return", "\n    x = y = 1", "\n    break", "\n    for x in y:\n    pass",
        "\n    if x:", "\n  return 1", "\n    return (1", "\n    f() = 1", "\n    None = 1",
        "\n    return 'a", "\n    f(a=1, 2)", "\n    f(a=1, a=2)", "\n    return x]", "",
        "\n    from __future__ import annotations",
        "\n    else:\n        pass", "\n        return 1", "\n    return if", "\n    x += 1, 2",
    ],
)  # fmt: skip
def test_what_is_accepted_compiles(body: str) -> None:
    ok = accepted(body, python_grammar())
    assert ok == (body == "\n    return")
    if ok:
        compile(f"def f(x):{body}", "p", "exec")


def test_random_bodies_compile() -> None:
    chance, grammar = np.random.default_rng(0), python_grammar()
    weight = np.ones(257)
    weight[[ord(c) for c in "abcdefghijklmnopqrstuvwxyz_ABCDEFGHIJKLMNOPQRSTUVWXYZ"]] = 0.2
    closing = weight.copy()
    closing[[ord(c) for c in ")]}'\"\n:"]] = 100
    finished = 0
    for _ in range(150):
        made, text = matcher(grammar), bytearray()
        while len(text) < 300 and not (len(text) > 5 and made.is_accepting()):
            allowed = np.frombuffer(made.compute_logit_bias(), np.uint8)[:257] > 0
            p = allowed * (weight if len(text) < 40 else closing)
            made.consume_token(letter := int(chance.choice(257, p=p / p.sum())))
            text.append(letter)
        if made.is_accepting():
            finished += 1
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)
                compile(f"def f(x):{text.decode()}", "p", "exec")
    assert finished > 75


def test_much_of_python_is_outside() -> None:
    functions = [f for f in stdlib_functions().test if f.code.startswith("def ")]
    bodies = ["\n" + f.code.partition("\n")[2] for f in functions]
    inside = sum(accepted(body, python_grammar()) for body in bodies)
    assert 0.2 * len(bodies) < inside < 0.8 * len(bodies)


def test_the_deepest_nest_compiles() -> None:
    lines = [" " * 4 * level + "for x in y:" for level in range(1, 20)]
    body = "\n".join(["", *lines, " " * 80 + "break"])
    assert accepted(body, python_grammar(20))
    compile(f"def f(y):{body}", "p", "exec")


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"indent": 0}, {"depth": 21}])
def test_sizes_are_checked(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be from 1 to 20"):
        python_grammar(**wrong)
