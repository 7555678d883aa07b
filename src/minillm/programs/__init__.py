"""Run what a model wrote, inside limits, and score it."""

from minillm.programs.grammar import python_grammar
from minillm.programs.run import Outcome, run_python
from minillm.programs.score import pass_at_k, right_calls

__all__ = ["Outcome", "pass_at_k", "python_grammar", "right_calls", "run_python"]
