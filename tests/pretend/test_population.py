"""No public name that takes a tensor or a device is forgotten: each ran on the pretend device."""

import inspect
import re
import sys

import matplotlib
import pytest
import torch

import minillm
from minillm import plot, widgets
from minillm.training import callbacks
from tests.pretend import device, exercises

matplotlib.use("agg")
FACES = (minillm, plot, widgets, callbacks)
TAKES = r"\b(Tensor|device|Module|Batch|LanguageModel|CausalLM|Transformer|Trainer)\b"
EXPLAINED = {
    "Batch.__init__": "a record of tensors",
    "Hypothesis.__init__": "a record of tensors",
    "Step.__init__": "a record of tensors",
    "Trace.__init__": "a record of tensors",
    "Speculation.__init__": "a record of tensors",
    "Restrained.__init__": "keeps a model and a rule",
    "TokenPairs.batch": "makes batches on the CPU, which the Trainer moves",
    "LanguageModel.__call__": "a protocol",
    "State.reorder": "a protocol",
    "LabelledTexts.all": "makes batches on the CPU, which the Trainer moves",
    "LabelledTexts.batch": "makes batches on the CPU, which the Trainer moves",
    "SequentialWindows.batch": "makes batches on the CPU, which the Trainer moves",
    "SentencePairs.batch": "makes batches on the CPU, which the Trainer moves",
    "SentencePairs.row": "makes a row on the CPU",
    "MaskedRows.__init__": "takes the rows, which stay on the CPU",
    "MaskedRows.batch": "makes batches on the CPU, which the Trainer moves",
    "TokenWindows.batch": "makes batches on the CPU, which the Trainer moves",
    "TokenWindows.__init__": "takes the text, which stays on the CPU",
    "Int4Linear.forward": "refuses the device, see test_four_bits_are_refused",
    "Int4Linear.dequantise": "refuses the device, see test_four_bits_are_refused",
    "int4_weights": "refuses the device, see test_four_bits_are_refused",
    "MLP.__init__": "makes layers on the CPU, which move",
    "Muon.__init__": "sorts parameters; its step runs",
    "make_optimizer": "sorts parameters; the steps of what it makes run",
    "ablate_heads": "a context manager; what it puts into the model runs in taking_heads_out",
    "capture": "a context manager; what it puts into the model runs in looking_inside",
    "patch": "a context manager; what it puts into the model runs in looking_inside",
    "BeamTree.nodes": "reads what the explorable has stored as numbers",
    "Explorable.__init__": "takes lists, which the explorables make of tensors",
    "NGramExplorer.from_sequences": "counts words",
    "Sampler.logits": "reads what the explorable has stored as numbers",
    "SpeculativeSteps.rounds": "reads what the explorable has stored as numbers",
    "best_device": "only names the device, see test_the_environment_names_the_device",
    "fast_dtype": "asks the environment here, see tests/test_device.py",
    "has_fast_bfloat16": "asks the environment here, see tests/test_device.py",
    "count_parameters": "reads shapes only",
    "left_pad": "makes tensors on the CPU",
    "sinusoids": "makes a table on the CPU; what it is added to has its own copy",
    "Progress.__call__": "reads numbers of a record",
    "LivePlot.__call__": "reads numbers of a record",
    "TensorBoard.__call__": "reads numbers of a record",
    "EarlyStopping.__call__": "reads numbers of a record",
}


def population():
    """Functions of the faces that take or give tensors, models or devices, by name."""
    for face in FACES:
        takes = TAKES + (r"|\bAny\b" if face in (plot, widgets) else "")
        for name in face.__all__:
            thing = getattr(face, name)
            for label, function in _functions(name, thing):
                if re.search(takes, str(function.__annotations__)):
                    yield label, function


def _functions(name, thing):
    if not inspect.isclass(thing):
        if callable(thing):
            yield name, inspect.unwrap(thing)
        return
    for attribute, value in vars(thing).items():
        function = getattr(inspect.unwrap(value), "__func__", inspect.unwrap(value))
        public = not attribute.startswith("_") or attribute in ("__init__", "__call__")
        if public and inspect.isfunction(function):
            yield f"{name}.{attribute}", inspect.unwrap(function)


def ran_on_the_device(monkeypatch):
    """Every piece of code of the package in which an operation of the device happened."""
    seen, compute = set(), device._compute

    def watched(*args, **kwargs):
        frame = sys._getframe()
        while frame is not None:
            seen.add(frame.f_code)
            frame = frame.f_back
        return compute(*args, **kwargs)

    monkeypatch.setattr(device, "_compute", watched)
    for exercise in exercises.EXERCISES:
        exercise(device.NAME)
    return seen


def test_every_public_name_has_run_or_is_explained(monkeypatch):
    seen = ran_on_the_device(monkeypatch)
    names = dict(population())
    missing = {name for name, function in names.items() if function.__code__ not in seen}
    assert missing - set(EXPLAINED) == set(), "give it an exercise, or explain"
    assert set(EXPLAINED) - missing == set(), "explained, but it has run or is gone"
    assert len(names) > 100


def test_four_bits_are_refused_on_the_device_and_say_so():
    linear = torch.nn.Linear(32, 16)
    for stored in (minillm.Int4Linear(linear), minillm.Int4Linear(linear).to(device.NAME)):
        with pytest.raises(ValueError, match=r"laid out for the cpu, but .* is on pretend:0"):
            stored(torch.ones(1, 32, device=device.NAME))
    with pytest.raises(ValueError, match="the layer is on pretend:0"):
        stored.dequantise()
    with pytest.raises(ValueError, match="laid out for the cpu, but the layer is on pretend:0"):
        minillm.int4_weights(linear.to(device.NAME))


def test_the_environment_names_the_device():
    assert minillm.best_device().type == device.NAME
    assert minillm.pick(cpu=1, gpu=2) == 2
