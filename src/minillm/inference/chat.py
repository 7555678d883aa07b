"""A conversation: what is remembered, what is dropped when it grows too long, and the next answer.

A model has no memory between two calls; a conversation is read again as one text each time. So the
program decides what the model still knows. `Chat` keeps the turns, makes room by one of two rules,
and reads only what is new (`PrefixCache`).

Book: chapter "Chat".
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from typing import Literal

import torch

from minillm.inference.generate import Step, stream
from minillm.inference.prefix_cache import PrefixCache, shared_length
from minillm.inference.sampling import GREEDY, Sampling
from minillm.nn.models import CausalLM
from minillm.tokenizer import BPETokenizer, Tokenizer
from minillm.tokenizer.chat import ChatTemplate

Message = dict[str, str]
Budget = Literal["drop", "summarise"]
_SUMMARISE = "Repeat in one or two sentences what this person said about themselves:"
_SUMMARY_TOKENS = 60


class Chat:
    """A conversation with a model, as far as it fits into a number of tokens.

    Args:
        model: in evaluation mode; its weights must not change.
        tokenizer: with the marks of the template.
        template: how turns become one text.
        stop: ids that end an answer.
        system: what the model is told before the first turn; None leaves it to the template.
        room: tokens that a conversation may take with the question; None: all but the answer's.
        max_new_tokens: the longest answer.
        sampling: how a token is chosen; greedy unless told.
        seed: of the random choices.
        budget: what happens to the oldest exchanges when room runs out: they are dropped, or a
            summary, which the model writes, takes their place behind the system message.

    Attributes:
        turns: the exchanges that are still there.
        summary: of those that are not, with "summarise", unless a question leaves no room for it.
        lost: how many messages are there no more.
        read: how many tokens the last turn had to read.

    Raises:
        ValueError: If answer and room do not fit into the context, or there is no such budget.

    Book: chapter "Chat".
    """

    def __init__(
        self,
        model: CausalLM,
        tokenizer: BPETokenizer,
        template: ChatTemplate,
        *,
        stop: Collection[int],
        system: str | None = None,
        room: int | None = None,
        max_new_tokens: int = 256,
        sampling: Sampling = GREEDY,
        seed: int = 0,
        budget: Budget = "drop",
    ) -> None:
        context = model.config.context_length
        self.room = context - max_new_tokens if room is None else room
        if not 1 <= self.room <= context - max_new_tokens or max_new_tokens < 1:
            raise ValueError(
                f"room={room} and max_new_tokens={max_new_tokens} do not fit into {context} tokens"
            )
        if budget not in ("drop", "summarise"):
            raise ValueError(f"budget={budget!r} is neither 'drop' nor 'summarise'")
        self.reader, self.tokenizer, self.template = PrefixCache(model), tokenizer, template
        self.stop, self.system, self.budget = stop, system, budget
        self.max_new_tokens, self.sampling = max_new_tokens, sampling
        self.device, self.read = next(model.parameters()).device, 0
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.reset()

    def reset(self) -> None:
        """Forget everything but the system message."""
        self.turns: list[Message] = []
        self.summary, self.lost = "", 0

    def ask(self, text: str, *, note: str = "") -> str:
        """The whole answer to a message; see `stream`."""
        return "".join(self.stream(text, note=note))

    def stream(self, text: str, *, note: str = "") -> Generator[str]:
        """The answer to a message, in pieces of whole characters, as they come.

        Whoever stops early keeps what came so far as the answer.

        Args:
            text: what the user says.
            note: what is read behind it for this answer alone, such as a tool's result.

        Raises:
            ValueError: If the message is empty, cannot be written in UTF-8 or is too long; the
                conversation is then as it was.
        """
        check_message(text)
        user = {"role": "user", "content": text}
        read = {"role": "user", "content": f"{text}\n\n{note}"} if note else user
        ids = self._fitted([read])
        self.read = len(ids) - shared_length(self.reader.ids, ids[:-1])
        return self._answer(self.turns, user, ids)

    def _answer(self, turns: list[Message], user: Message, ids: list[int]) -> Generator[str]:
        answer = ""
        try:
            for part in self._pieces(ids, self.max_new_tokens, self.sampling):
                answer += part
                yield part
        finally:
            if self.turns is turns:  # nobody has called `reset` since
                self.turns = [*turns, user, {"role": "assistant", "content": answer}]

    def _pieces(self, ids: list[int], new: int, sampling: Sampling = GREEDY) -> Iterator[str]:
        steps = stream(
            self.reader,
            torch.tensor([ids], device=self.device),
            max_new_tokens=new,
            sampling=sampling,
            stop=self.stop,
            generator=self.generator,
        )
        return text_pieces(steps, self.tokenizer, self.stop)

    def _head(self, summary: str) -> list[Message]:
        """The system message, and in it the summary, if there are any."""
        system = self.system if self.system is not None else self.template.default_system
        if summary:
            system = f"{system or ''}\nEarlier in this conversation: {summary}".strip()
        return [] if system is None else [{"role": "system", "content": system}]

    def _fitted(self, asked: Sequence[Message]) -> list[int]:
        """Make room for a question; the ids of everything."""
        summary, kept, ids = self._kept(self.summary, self.turns, asked)
        if len(kept) < len(self.turns) and self.budget == "summarise":
            gone = self._lose(asked, self.room // 2)
            summary = self._summarised(self.turns[:gone])
            summary, kept, ids = self._kept(summary, self.turns[gone:], asked)
        self.lost += len(self.turns) - len(kept)
        self.summary, self.turns = summary, kept
        return ids

    def _kept(
        self, summary: str, turns: Sequence[Message], asked: Sequence[Message]
    ) -> tuple[str, list[Message], list[int]]:
        """What fits of a summary and turns, and the ids of everything."""
        head = self._head(summary)
        try:
            kept, ids = fit(self.template, self.tokenizer, [*head, *turns, *asked], self.room)
        except ValueError:
            if not summary:
                raise
            return self._kept("", turns, asked)  # a long question leaves no room for a summary
        return summary, kept[len(head) : len(kept) - len(asked)], ids

    def _lose(self, asked: Sequence[Message], room: int) -> int:
        """How many of the oldest messages go, so that the others take `room` tokens at most."""
        starts = [i for i, turn in enumerate(self.turns) if turn["role"] == "user"]
        for first in starts[1:]:
            rest = [*self._head(self.summary), *self.turns[first:], *asked]
            if len(self.template.encode(self.tokenizer, rest)) <= room:
                return first
        return len(self.turns)

    def _summarised(self, turns: Sequence[Message]) -> str:
        """What the model makes of the user's messages, and of the summary so far."""
        said = [turn["content"] for turn in turns if turn["role"] == "user"]
        if self.summary:
            said.insert(0, self.summary)
        request = {"role": "user", "content": "\n".join([_SUMMARISE, *said])}
        ids = self.template.encode(self.tokenizer, [request])
        ids = ids[-(self.reader.config.context_length - _SUMMARY_TOKENS) :]
        return " ".join("".join(self._pieces(ids, _SUMMARY_TOKENS)).split())


def check_message(text: str) -> None:
    """Refuse what nobody can read.

    Raises:
        ValueError: If a message is empty, or holds half of a character.

    Book: chapter "Chat".
    """
    if not text.strip():
        raise ValueError("the message is empty")
    if broken := [i for i, c in enumerate(text) if 0xD800 <= ord(c) <= 0xDFFF]:
        raise ValueError(f"character {broken[0]} is half of a surrogate pair: no text in UTF-8")


def fit(
    template: ChatTemplate, tokenizer: BPETokenizer, turns: Sequence[Message], room: int
) -> tuple[list[Message], list[int]]:
    """Drop the oldest exchanges until the conversation fits into `room` tokens.

    An exchange begins with a message of the user. A system message in front stays.

    Returns:
        the messages that are left, and their ids with the opening of the next answer.

    Raises:
        ValueError: If the last message, with the system message, is too long.

    Book: chapter "Chat".
    """
    kept = list(turns)
    first = int(bool(kept) and kept[0]["role"] == "system")
    ids = template.encode(tokenizer, kept)
    while len(ids) > room:
        later = [i for i in range(first + 1, len(kept)) if kept[i]["role"] == "user"]
        if not later:
            whole = "the message" + " with the system message" * first
            raise ValueError(f"{whole} takes {len(ids)} tokens, there is room for {room}")
        del kept[first : later[0]]
        ids = template.encode(tokenizer, kept)
    return kept, ids


def text_pieces(
    steps: Iterable[Step], tokenizer: Tokenizer, stop: Collection[int]
) -> Iterator[str]:
    """The text of one row of `stream` in pieces that are whole characters, up to an id of `stop`.

    A token may be half a character; it waits for the other half.

    Book: chapter "Chat".
    """
    written: list[int] = []
    shown = ""
    for step in steps:
        if int(step.token) in stop:
            break
        written.append(int(step.token))
        text = tokenizer.decode(written)
        if not text.endswith("\ufffd"):  # in the middle of a character
            yield text[len(shown) :]
            shown = text
    if rest := tokenizer.decode(written)[len(shown) :]:
        yield rest
