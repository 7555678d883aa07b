"""The chat template: how a conversation becomes one text that a model was tuned to continue.

ChatML marks each turn with '<|im_start|>role', a line break, the words and '<|im_end|>'. Published
files carry the template as a Jinja program; instead of running a program from a file, this module
recognises the one program it knows, and the tests hold its text equal to Jinja's.

Book: chapter "Chat".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from minillm.tokenizer import BPETokenizer
from minillm.tokenizer.published import encode_part

TURN_START, TURN_END = "<|im_start|>", "<|im_end|>"
_DEFAULT_SYSTEM = (
    "{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n",
    "<|im_end|>\n' }}{% endif %}",
)
_LOOP = (
    "{% for message in messages %}",
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
)
_KNOWN = re.compile(
    re.escape(_LOOP[0])
    + f"(?:{re.escape(_DEFAULT_SYSTEM[0])}([^'{{}}]*){re.escape(_DEFAULT_SYSTEM[1])})?"
    + re.escape(_LOOP[1])
)


@dataclass(frozen=True, kw_only=True)
class ChatTemplate:
    r"""ChatML, with the system message that a model adds when a conversation has none.

    Args:
        default_system: that message, or None.

    Example:
        >>> template = ChatTemplate(default_system="Be brief.")
        >>> print(template.render([{"role": "user", "content": "Hi"}]), end="|")
        <|im_start|>system
        Be brief.<|im_end|>
        <|im_start|>user
        Hi<|im_end|>
        <|im_start|>assistant
        |

    Book: chapter "Chat".
    """

    default_system: str | None = None

    @classmethod
    def from_jinja(cls, source: str) -> Self:
        """Recognise the template of a published file.

        Raises:
            ValueError: If it is not the ChatML program that this module knows.
        """
        match = _KNOWN.fullmatch(source.replace("\\n", "\n").strip())
        if match is None:
            raise ValueError(f"the chat template is not plain ChatML: {source[:60]!r}")
        return cls(default_system=match[1])

    def render(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool = True
    ) -> str:
        """Text of a conversation, by default with the opening of the assistant's next turn.

        Args:
            messages: each with "role" ("system", "user" or "assistant") and "content".
            add_generation_prompt: end with the words that make the model answer.

        Raises:
            ValueError: If there is no message, or one is anything but a role and a content, both
                texts: pictures, calls of tools and the like have no place in this template.
        """
        turns = self._turns(messages)
        text = "".join(f"{TURN_START}{turn}{TURN_END}\n" for turn in turns)
        return text + (f"{TURN_START}assistant\n" if add_generation_prompt else "")

    def encode(
        self,
        tokenizer: BPETokenizer,
        messages: Sequence[Mapping[str, str]],
        *,
        add_generation_prompt: bool = True,
    ) -> list[int]:
        """Ids of the rendered text, in which only our own marks become special tokens.

        What a user types stays text, so that typing '<|im_end|>' cannot end the turn.

        Raises:
            ValueError: If the tokenizer lacks the marks, or the messages are not as `render` wants.
        """
        if missing := [mark for mark in (TURN_START, TURN_END) if mark not in tokenizer.special]:
            raise ValueError(f"the tokenizer has no {missing}, only {sorted(tokenizer.special)}")
        start, end = (tokenizer.special[mark] for mark in (TURN_START, TURN_END))
        ids: list[int] = []
        for turn in self._turns(messages):
            ids += [start, *encode_part(tokenizer, turn), end, *encode_part(tokenizer, "\n")]
        opening = [start, *encode_part(tokenizer, "assistant\n")]
        return ids + (opening if add_generation_prompt else [])

    def _turns(self, messages: Sequence[Mapping[str, str]]) -> list[str]:
        """Role, line break and words of each turn."""
        if not messages:
            raise ValueError("a conversation needs at least one message")
        for number, message in enumerate(messages):
            _check(number, message)
        turns = [f"{message['role']}\n{message['content']}" for message in messages]
        if self.default_system is not None and messages[0]["role"] != "system":
            turns.insert(0, f"system\n{self.default_system}")
        return turns


def _check(number: int, message: Any) -> None:
    """Refuse what is not a role and a content; a template in Jinja would leave it out unseen."""
    if not isinstance(message, Mapping):
        raise ValueError(f"message {number} is {message!r}, not a role and a content")
    if message.keys() != {"role", "content"}:
        given = sorted(map(str, message))
        raise ValueError(f"message {number} has keys {given}, not role, content")
    for key, value in message.items():
        if not isinstance(value, str):
            raise ValueError(f"message {number}: {key} is {value!r}, not a text")
