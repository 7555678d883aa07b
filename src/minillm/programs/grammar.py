"""A grammar for the bodies of small Python functions, as a context-free grammar can say it.

Python's own grammar needs a lexer that remembers how far each line is indented. Here the depth is
limited, and every depth has rules of its own. All that the grammar allows compiles, except for what
is too large for Python itself: 200 brackets inside each other, a number of 4,300 digits, a thousand
signs before one value. Much of Python is left out: classes, exceptions, decorators, comments,
f-strings, `global`, `async` and more.

Book: chapter "Code".
"""

from __future__ import annotations

import keyword

EXPRESSIONS = r"""
test: or_test (" if " or_test " else " test)?
or_test: and_test (" or " and_test)*
and_test: not_test (" and " not_test)*
not_test: "not " not_test | comparison
comparison: sum (COMPARE sum)*
sum: term (PLUS term)*
term: factor (TIMES factor)*
factor: MINUS factor | power
power: primary (POWER factor)? | NUMBER (POWER factor)?
primary: NAME | CONSTANT | STRING | "(" inside? ")" | "[" inside? "]" | "{" braced? "}"
       | primary "." NAME | primary "(" arguments? ")" | primary "[" index "]"
inside: test (for_in | (COMMA test)* ","?)
braced: test ":" " "? test (for_in | (COMMA test ":" " "? test)*) | test (for_in | (COMMA test)*)
for_in: (" for " names " in " or_test (" if " or_test)?)+
arguments: test for_in | test (COMMA test)* (COMMA named)? | named
named: NAME "=" test
index: test | test? ":" " "? test? (":" " "? test?)?
names: NAME (COMMA NAME)*
target: NAME | primary "[" index "]" | primary "." NAME
targets: target (COMMA target)*
tests: test (COMMA test)*
simple: targets " = " tests | target CHANGE test | "return" (" " tests)? | "pass" | test
      | "raise " NAME ("(" arguments? ")")? | "import " NAME | "from " MODULE " import " NAME
COMMA: /, ?/
COMPARE: / ?(==|!=|<=|>=|<|>) ?| (in|not in|is|is not) /
PLUS: / ?[+\-|&^] ?/
TIMES: / ?(\*|\/\/|\/|%) ?/
POWER: / ?\*\* ?/
MINUS: /[-+~]/
CHANGE: / (\+|-|\*|\/\/|\/|%|\*\*)= /
NUMBER: /(0|[1-9][0-9]*)(\.[0-9]+)?(e-?[0-9]+)?/
STRING: /"([^"\\\n\r\x00]|\\[nt\\"'])*"|'([^'\\\n\r\x00]|\\[nt\\"'])*'/
CONSTANT: "True" | "False" | "None"
"""


DEEPEST = 20


def python_grammar(depth: int = 4, *, indent: int = 4) -> str:
    r"""Return the body of a function in the notation of Lark, for `llguidance`.

    The text begins with the newline after the head (or docstring) and may end with empty lines. A
    line at depth d is indented by d · indent spaces; `break` and `continue` stand in loops only.

    Args:
        depth: how deep statements may be nested, at most 20: Python itself allows no more loops
            inside each other.
        indent: spaces for each depth.

    Raises:
        ValueError: If `depth` is not from 1 to 20, or `indent` is below 1.

    Example:
        >>> print(python_grammar(1).splitlines()[1])
        body1: line1+

    Book: chapter "Code".
    """
    if not 1 <= depth <= DEEPEST or indent < 1:
        raise ValueError(
            f"depth={depth} must be from 1 to {DEEPEST}, and indent={indent} at least 1"
        )
    rules = ["start: body1 /\\n{0,4}/"]
    for level in range(1, depth + 1):
        for loop in ("", "l") if level > 1 else ("",):
            rules += _level(level, loop, " " * (level * indent), deeper=level < depth)
    words = "|".join(keyword.kwlist)
    letters = "/[A-Za-z_][A-Za-z0-9_]*/"
    name = f"NAME: {letters} & ~/{words}|__debug__/"
    module = f"MODULE: {letters} & ~/{words}|__debug__|__future__/"
    return "\n".join([*rules, EXPRESSIONS.strip(), name, module]) + "\n"


def _level(level: int, loop: str, spaces: str, *, deeper: bool) -> list[str]:
    """The rules of one depth, inside a loop (loop = "l") or not."""
    me, jump = f"{level}{loop}", ' | "break" | "continue"' if loop else ""
    lines = [f"body{me}: line{me}+", f'line{me}: "\\n{spaces}" (simple{jump}']
    if deeper:
        inner, looped = f"body{level + 1}{loop}", f"body{level + 1}l"
        lines[1] += f" | block{me}"
        lines += [
            f'block{me}: "if " test ":" {inner} ("\\n{spaces}elif " test ":" {inner})*'
            f' ("\\n{spaces}else:" {inner})?',
            f' | "for " names " in " tests ":" {looped} | "while " test ":" {looped}',
        ]
    lines[1] += ")"
    return lines
