"""Progress leaves one line, samples and checkpoints are timely, curves tell the truth."""

import importlib
import sys
from types import SimpleNamespace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from minillm.notebook import in_notebook
from minillm.plot import LivePlot
from minillm.training.callbacks.progress import Progress
from minillm.training.callbacks.sample import SampleText
from minillm.training.callbacks.saving import Checkpoint
from minillm.training.callbacks.stopping import EarlyStopping
from minillm.training.callbacks.tensorboard import TensorBoard
from minillm.training.history import History, Record
from minillm.training.stop import StopTraining


def records(n, val_every=2):
    for step in range(1, n + 1):
        yield Record(
            step=step,
            tokens=100 * step,
            loss=4.0 / step,
            lr=0.1,
            grad_norm=1.0,
            seconds=0.5 * step,
            val_loss=2.5 if step % val_every == 0 else None,
        )


TRAINER = SimpleNamespace(config=SimpleNamespace(steps=4))


def test_progress_in_a_terminal_is_one_bar(capsys):
    progress = Progress(every=0)
    for record in records(4):
        progress(TRAINER, record)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert shown.endswith("\n")
    last = shown.split("\r")[-1]
    assert "4/4" in last
    assert "00:00<00:00" in last  # time spent and time left
    assert ", 200 tokens/s, loss 1.000" in last
    assert "loss 1.000, validation 2.500" in last


def test_progress_in_a_notebook_updates_one_output(monkeypatch, capsys):
    shown = []

    class Handle:
        def update(self, data, *, raw):
            assert raw
            shown.append(("update", data["text/plain"]))

    def display(data, *, raw, display_id):
        assert raw
        assert display_id
        shown.append(("display", data["text/plain"]))
        return Handle()

    fake = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    assert in_notebook()
    progress = Progress(every=0)
    for record in records(4):
        progress(TRAINER, record)
    assert [kind for kind, _ in shown] == ["display", "update", "update", "update"]
    assert shown[-1][1].startswith("4/4 steps")
    assert ", ," not in shown[-1][1]
    assert shown[-1][1].endswith(", 200 tokens/s, loss 1.000, validation 2.500")
    assert "\n" not in "".join(text for _, text in shown)
    assert capsys.readouterr() == ("", "")


def test_progress_is_not_faster_than_asked(capsys):
    progress = Progress(every=1e9)
    for record in records(4):
        progress(TRAINER, record)
    shown = capsys.readouterr().err
    assert "4/4" in shown
    assert "2/4" not in shown
    assert "3/4" not in shown


def test_no_notebook_here():
    assert not in_notebook()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SampleText(None, "a", every=0), "every=0"),
        (lambda: SampleText(None, ""), "prompt=''"),
        (lambda: Checkpoint("run", every=0), "every=0"),
        (lambda: Checkpoint("run", every=1, keep=0), "keep=0"),
        (lambda: EarlyStopping(patience=-1), "patience=-1"),
        (lambda: EarlyStopping(patience=1, min_delta=-0.1), "min_delta=-0.1"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_old_checkpoints_of_a_longer_run_are_left_alone(tmp_path):
    (tmp_path / "step-00000900.pt").touch()
    trainer = SimpleNamespace(config=TRAINER.config, save=lambda path: path.touch())
    checkpoint = Checkpoint(tmp_path, every=1, keep=2)
    for record in records(4):
        checkpoint(trainer, record)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["step-00000003.pt", "step-00000004.pt", "step-00000900.pt"]


def test_a_bar_that_is_closed_ends_its_line(capsys):
    progress = Progress(every=0)
    progress(TRAINER, next(iter(records(4))))
    progress.close()
    assert capsys.readouterr().err.endswith("\n")
    Progress().close()  # nothing to close


def stopped_at(losses, **options):
    """The evaluation after which a run with these validation losses ends; None if it does not."""
    stop, history = EarlyStopping(**options), History()
    trainer = SimpleNamespace(history=history)
    fields = {"tokens": 0, "loss": 9, "lr": 0, "grad_norm": 0, "seconds": 0}
    for number, loss in enumerate(losses, start=1):
        history.append(Record(step=2 * number - 1, **fields))
        stop(trainer, history[-1])
        history.append(Record(step=2 * number, val_loss=loss, **fields))
        try:
            stop(trainer, history[-1])
        except StopTraining:
            return number
    return None


@pytest.mark.parametrize(
    ("losses", "options", "end"),
    [
        ([5, 4, 3, 2, 1], {"patience": 0}, None),
        ([5, 4, 4, 3], {"patience": 0}, 3),
        ([5, 4, 4.1, 4.2, 3.9, 4, 4, 4], {"patience": 2}, 8),
        ([5, 4.95, 4.9, 4.85, 4.8], {"patience": 1, "min_delta": 0.1}, 3),
        ([5, 4.95, 4.85, 4.8, 4.7], {"patience": 1, "min_delta": 0.1}, None),
        ([float("nan")] * 3, {"patience": 1}, 2),
    ],
)
def test_early_stopping(losses, options, end):
    assert stopped_at(losses, **options) == end


def test_early_stopping_remembers_what_was_before_a_resume():
    history = History(records(6))
    again = EarlyStopping(patience=0)  # knows nothing but the history
    with pytest.raises(StopTraining, match=r"has not fallen below 2\.5000 for 2 evaluations"):
        again(SimpleNamespace(history=history), history[-1])


def written(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }


def test_tensorboard_reads_back_what_was_written(tmp_path):
    board = TensorBoard(tmp_path)
    for record in records(4):
        board(TRAINER, record)
    found = written(tmp_path)
    assert found.pop("loss") == [(1, 4.0), (2, 2.0), (3, pytest.approx(4 / 3)), (4, 1.0)]
    assert found.pop("val_loss") == [(2, 2.5), (4, 2.5)]
    assert found.pop("lr") == [(step, pytest.approx(0.1)) for step in (1, 2, 3, 4)]
    assert found.pop("grad_norm") == [(step, 1.0) for step in (1, 2, 3, 4)]
    assert found.pop("tokens_per_second") == [(step, 200.0) for step in (2, 3, 4)]
    assert not found


def test_a_resumed_run_replaces_the_steps_it_does_again(tmp_path):
    every = list(records(4))
    first, second = TensorBoard(tmp_path), TensorBoard(tmp_path)
    for record in every[:3]:
        first(TRAINER, record)
    first.close()
    for record in every[1:]:  # the checkpoint was of step 1
        second(TRAINER, record)
    assert [step for step, _ in written(tmp_path)["loss"]] == [1, 2, 3, 4]


def test_tensorboard_is_asked_for_by_name_when_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match="TensorBoard is missing: pip install tensorboard"):
        TensorBoard("run")


def test_live_plot_replaces_one_picture(monkeypatch):
    shown = []

    def display(figure, *, display_id):
        assert display_id
        shown.append(("display", figure))
        return SimpleNamespace(update=lambda figure: shown.append(("update", figure)))

    live = importlib.import_module("minillm.plot.live")
    monkeypatch.setattr(live, "in_notebook", lambda: True)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    plot, history = LivePlot(every=0, columns=("loss", "val_loss")), History()
    for record in records(4):
        history.append(record)
        plot(SimpleNamespace(config=TRAINER.config, history=history), record)
    assert [kind for kind, _ in shown] == ["display", "update", "update", "update"]
    assert {id(figure) for _, figure in shown} == {id(plot.figure)}
    assert live.plt.get_fignums() == []  # a notebook would show an open figure again
    (axes,) = plot.figure.axes
    training, validation = axes.lines
    assert list(training.get_ydata()) == [4.0, 2.0, 4 / 3, 1.0]
    assert list(validation.get_xdata()) == [2, 4]


def test_live_plot_is_not_faster_than_asked_but_draws_the_end():
    plot, history, drawn = LivePlot(every=1e9), History(), []
    plot._draw = lambda trainer: drawn.append(len(trainer.history))
    for record in records(4):
        history.append(record)
        plot(SimpleNamespace(config=TRAINER.config, history=history), record)
    assert drawn == [1, 4]
    waiting = LivePlot(every=0, columns=("val_loss",))
    waiting(SimpleNamespace(config=TRAINER.config, history=history[:1]), history[0])
    assert waiting.figure is None
    with pytest.raises(ValueError, match="'speed' is no column"):
        LivePlot(columns=("speed",))(SimpleNamespace(config=TRAINER.config, history=history),
                                     history[0])  # fmt: skip


def test_none_draws_from_the_global_randomness(tmp_path):
    before = torch.get_rng_state()
    history = History(records(4))
    trainer = SimpleNamespace(config=TRAINER.config, history=history)
    for callback in (TensorBoard(tmp_path), LivePlot(every=0), EarlyStopping(patience=9)):
        for record in history:
            callback(trainer, record)
    assert torch.equal(torch.get_rng_state(), before)
