"""A conversation and an agent, on a model with random weights: what is kept, read and refused."""

from dataclasses import replace

import pytest
import torch

from minillm import CausalLM, ChatTemplate
from minillm.inference.agent import ToolChooser, introduction, run_agent
from minillm.inference.chat import Chat, fit, text_pieces
from minillm.inference.generate import Step, generate
from minillm.inference.patterns import matches, one_of
from minillm.inference.tools import Call, Tool
from minillm.tokenizer import BPETokenizer
from tests.conftest import LLAMA, randomise

TEXT = "the cat sat on the mat and the dog sat on the log. "
TOKENIZER = BPETokenizer.train(TEXT * 5, 280, special=("<|im_start|>", "<|im_end|>"))
END = TOKENIZER.special["<|im_end|>"]
COIN = Tool("coin", "flips", one_of(["one", "two"]), lambda text: f"{text} heads")
DICE = Tool("dice", "rolls", one_of(["red", "blue"]), lambda text: f"{text} six")


@pytest.fixture(scope="module")
def model():
    return randomise(CausalLM(replace(LLAMA, vocab_size=TOKENIZER.vocab_size, context_length=1024)))


def talk(model, **options):
    given = {"stop": (END,), "max_new_tokens": 8} | options
    return Chat(model, TOKENIZER, ChatTemplate(), **given)


def test_an_answer_is_what_generate_writes(model):
    chat = talk(model)
    turns = []
    for question in ("the cat", "and the dog?", "<|im_end|>"):
        turns.append({"role": "user", "content": question})
        ids = ChatTemplate().encode(TOKENIZER, turns)
        whole = generate(model, torch.tensor([ids]), max_new_tokens=8, stop=(END,))[0, len(ids) :]
        expected = TOKENIZER.decode(i for i in whole.tolist() if i != END)
        assert chat.ask(question) == expected
        turns.append({"role": "assistant", "content": expected})
        assert chat.turns == turns


def test_only_what_is_new_is_read(model):
    chat = talk(model)
    chat.ask("the cat sat on the mat " * 8)
    first = chat.read
    chat.ask("hi")
    assert 0 < chat.read < first / 2


def test_the_system_message_stays_when_exchanges_are_dropped(model):
    chat = talk(model, system="the log", room=120)
    for number in range(12):
        chat.ask(f"the cat {number}")
        ids = ChatTemplate().encode(
            TOKENIZER, [{"role": "system", "content": "the log"}, *chat.turns[:-1]]
        )
        assert len(ids) <= 120
        assert chat.turns[0]["role"] == "user"
        assert chat.turns[-2]["content"] == f"the cat {number}"
    assert chat.lost == 24 - len(chat.turns) > 0
    assert not chat.summary
    chat.reset()
    assert chat.turns == []
    assert chat.lost == 0


def test_a_summary_takes_the_place_of_what_is_dropped(model, monkeypatch, encoded):
    monkeypatch.setattr(Chat, "_summarised", lambda _, turns: f"{len(turns)} lost")
    chat = talk(model, system="the log", room=150, budget="summarise")
    while not chat.summary:
        chat.ask("the cat sat")
    assert chat.lost > 0
    assert encoded[-1][0] == f"the log\nEarlier in this conversation: {chat.lost} lost"
    assert len(ChatTemplate().encode(TOKENIZER, [{"role": "x", "content": encoded[-1][0]}])) <= 150


def test_a_summary_is_written_from_what_the_user_said(model, monkeypatch):
    asked = []

    def written(_, ids, new, _sampling=None):
        asked.append((TOKENIZER.decode(ids), new))
        return iter(["in ", "short"])

    monkeypatch.setattr(Chat, "_pieces", written)
    chat = talk(model, room=150, budget="summarise")
    chat.turns = [{"role": r, "content": f"{r} text"} for r in ("user", "assistant") * 5]
    assert chat.ask("the cat") == "in short"
    assert chat.summary == "in short"
    assert "user text" in asked[0][0]
    assert "assistant text" not in asked[0][0]


@pytest.mark.parametrize("text", ["", " \n\t ", "a \ud800", "word " * 40_000])
def test_bad_messages_are_refused_and_nothing_changes(model, text):
    chat = talk(model)
    chat.ask("the cat")
    before = list(chat.turns)
    with pytest.raises(ValueError, match=r"is empty|half of a surrogate|there is room for"):
        chat.stream(text)
    assert chat.turns == before
    assert isinstance(chat.ask("\x00\x1b[31m 漢字"), str)


def test_who_stops_early_keeps_what_came(model, monkeypatch):
    monkeypatch.setattr(Chat, "_pieces", lambda *_: iter("well"))
    chat = talk(model)
    parts = chat.stream("the cat")
    came = next(parts) + next(parts)
    parts.close()
    assert chat.turns[-1] == {"role": "assistant", "content": came}


def test_an_answer_that_nobody_read_leaves_a_conversation_that_counts(model):
    chat = talk(model, room=120)
    while not chat.lost:
        chat.ask("the cat sat")
    asked = len(chat.turns) + chat.lost
    for _ in range(3):
        chat.stream("the dog")
    assert len(chat.turns) + chat.lost == asked
    parts = chat.stream("the log")
    next(parts)
    chat.reset()
    parts.close()
    assert chat.turns == []


@pytest.mark.parametrize("before", ["", "the dog sat on the log and the cat sat on the mat"])
def test_a_question_that_leaves_no_room_for_a_summary_is_answered(model, monkeypatch, before):
    monkeypatch.setattr(Chat, "_summarised", lambda *_: "the cat sat on the mat " * 8)
    chat = talk(model, system="the log", room=200, budget="summarise")
    chat.turns = [{"role": r, "content": f"{r} text"} for r in ("user", "assistant") * 3]
    chat.summary = before
    system = [{"role": "system", "content": "the log"}]
    asked = "the cat " * 400
    while (
        len(ChatTemplate().encode(TOKENIZER, [*system, {"role": "user", "content": asked}])) > 198
    ):
        asked = asked.removesuffix("the cat ")
    chat.ask(asked)
    assert (chat.lost, chat.summary, len(chat.turns)) == (6, "", 2)
    with pytest.raises(ValueError, match=r"with the system message takes \d+ tokens"):
        chat.ask(asked * 2)


def test_a_result_is_read_and_not_kept(model):
    chat = talk(model)
    plain = talk(model)
    chat.ask("the cat", note="the log")
    plain.ask("the cat")
    assert chat.read > plain.read
    assert [turn["role"] for turn in chat.turns] == ["user", "assistant"]
    assert chat.turns[0]["content"] == "the cat"


@pytest.mark.parametrize(
    "options", [{"room": 0}, {"room": 1020}, {"max_new_tokens": 0}, {"budget": "forget"}]
)
def test_settings_that_do_not_fit_are_refused(model, options):
    with pytest.raises(ValueError, match=r"do not fit|neither"):
        talk(model, **options)


def test_fit_drops_whole_exchanges():
    turns = [{"role": "system", "content": "s"}]
    for i in range(4):
        turns += [{"role": r, "content": f"{r} {i}"} for r in ("user", "assistant", "tool")]
    turns.append({"role": "user", "content": "last"})
    whole = len(ChatTemplate().encode(TOKENIZER, turns))
    kept, ids = fit(ChatTemplate(), TOKENIZER, turns, whole - 1)
    assert [m["content"] for m in kept[:2]] == ["s", "user 1"]
    assert kept[-1]["content"] == "last"
    assert ids == ChatTemplate().encode(TOKENIZER, kept)
    with pytest.raises(ValueError, match="there is room for 9"):
        fit(ChatTemplate(), TOKENIZER, turns, 9)


def test_pieces_are_whole_characters():
    ids = TOKENIZER.encode("a漢b")
    steps = [Step(torch.tensor([[i]]), torch.zeros(1, 1)) for i in [*ids, END, *ids]]
    parts = list(text_pieces(steps, TOKENIZER, (END,)))
    assert "".join(parts) == "a漢b"
    assert "\ufffd" not in "".join(parts)


def chooser(model, **options):
    examples = [("flip", Call("coin", "one")), ("hello", Call("none", ""))]
    return ToolChooser(model, TOKENIZER, ChatTemplate(), (COIN, DICE), examples=examples, **options)


def test_every_choice_is_a_valid_call(model):
    agent = chooser(model)
    for favourite in range(3):
        agent.bias = torch.zeros(3)
        agent.bias[favourite] = -1e6
        call = agent.choose([{"role": "user", "content": 'the cat"}<|im_end|>'}])
        assert call.tool == ("coin", "dice", "none")[favourite]
        pattern = {"coin": COIN.pattern, "dice": DICE.pattern, "none": one_of([""])}[call.tool]
        assert matches(pattern, call.input)


def test_scores_are_the_models_log_probabilities(model):
    agent = chooser(model)
    asked = [{"role": "user", "content": "the cat"}]
    ids = ChatTemplate().encode(TOKENIZER, [*agent.head, *asked])
    ids += TOKENIZER.encode('{"tool": "')
    expected = model(torch.tensor([ids]))[0, -1].log_softmax(-1)
    first = [TOKENIZER.encode(f'{name}"')[0] for name in ("coin", "dice", "none")]
    torch.testing.assert_close(agent.scores(asked), expected[first].detach(), rtol=0, atol=1e-4)


def test_calibration_takes_the_mean(model):
    agent = chooser(model)
    requests = ["the cat", "the dog sat", "on the log"]
    rows = [agent.scores([{"role": "user", "content": r}]) for r in requests]
    agent.calibrate(requests)
    torch.testing.assert_close(agent.bias, torch.stack(rows).mean(0))
    with pytest.raises(ValueError, match="got none"):
        agent.calibrate([])


class Scripted:
    """A chooser that says what it is told, for the loop alone."""

    tools = {"coin": COIN, "dice": DICE}  # noqa: RUF012

    def __init__(self, *calls):
        self.calls, self.seen = list(calls), []

    def choose(self, messages):
        self.seen.append([m["content"] for m in messages])
        return self.calls.pop(0)


def test_the_loop_ends_in_three_ways():
    one, two, none = Call("coin", "one"), Call("dice", "red"), Call("none", "")
    done = Scripted(one, two, none)
    run = run_agent(done, "go", max_steps=3)
    assert run.ended == "done"
    assert run.steps == ((one, "one heads"), (two, "red six"))
    assert run.note == "The coin says: one heads\nThe dice says: red six\nAnswer in a sentence."
    assert run_agent(Scripted(none), "go").note == ""
    assert run_agent(Scripted(one, none), "go").ended == "done"
    assert run_agent(Scripted(one, one), "go").ended == "repeated"
    assert run_agent(Scripted(none), "go").steps == ()
    assert run_agent(Scripted(one, two, one), "go", max_steps=2).ended == "limit"
    assert done.seen[1] == ["go", one.text, "one heads"]
    for text in ("", "\ud800"):
        with pytest.raises(ValueError, match=r"is empty|half of a surrogate"):
            run_agent(Scripted(one), text)
    with pytest.raises(ValueError, match="max_steps=0"):
        run_agent(Scripted(), "go", max_steps=0)


def test_a_request_that_is_too_long_is_refused(model):
    with pytest.raises(ValueError, match="over 944"):
        chooser(model).choose([{"role": "user", "content": "the cat " * 4000}])


def test_a_result_that_fills_the_context_ends_the_loop(model):
    long = replace(COIN, run=lambda _: "the cat " * 4000)
    agent = ToolChooser(model, TOKENIZER, ChatTemplate(), (long, DICE))
    agent.bias = torch.tensor([-1e6, 0.0, 0.0])
    run = run_agent(agent, "flip")
    assert (len(run.steps), run.ended) == (1, "limit")


def test_names_must_differ_at_once(model):
    twin = replace(COIN, name="coins")
    with pytest.raises(ValueError, match="same token"):
        ToolChooser(model, TOKENIZER, ChatTemplate(), (COIN, twin))
    with pytest.raises(ValueError, match="got none"):
        ToolChooser(model, TOKENIZER, ChatTemplate(), ())
    assert introduction([COIN]).splitlines()[1:] == ["coin: flips", "none: no tool is needed"]
