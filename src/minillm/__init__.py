"""minillm: the small, exact PyTorch package behind the book *Inside Large Language Models*.

Shapes are written with single letters everywhere: B batch, T query length, S key length, D d_model,
H heads, K key-value heads, E head_dim, F width of the feed-forward network, V vocabulary, L layers.
Masks are bool and True means "may attend" or "is a real token". Texts are in `minillm.corpora`,
pictures in `minillm.plot`, explorables in `minillm.widgets`; the last two need an extra.
"""

from .attention import Attention, causal_mask, explicit_attention, fused_attention
from .beam import Hypothesis, beam_search
from .callbacks import Checkpoint, Progress, SampleText
from .chat import ChatTemplate
from .classifier import SequenceClassifier, mean_pool
from .config import BERT_BASE, GPT2_SMALL, SMOLLM2_135M, VASWANI_BASE, ModelConfig
from .counting import count_parameters, kv_bytes_per_token, training_flops
from .data import IGNORE, Batch, LabelledTexts, SequentialWindows, TokenWindows
from .device import best_device, fast_dtype, has_fast_bfloat16, pick
from .evaluation import eval_mode, perplexity
from .ffn import MLP, SwiGLU
from .generate import Step, generate, left_pad, stream
from .heads import ablate_heads, head_outputs
from .history import History, Record
from .int4 import Int4Linear, int4_weights
from .int8 import Int8Linear, int8_weights
from .load import Loaded, load
from .models import CausalLM, MaskedLM, Seq2Seq, init_weights
from .muon import Muon, newton_schulz
from .ngram import NGramLM
from .norm import RMSNorm, post_norm, pre_norm
from .objectives import classification_loss, count_targets, lm_loss, sequence_log_probs
from .optim import make_optimizer, warmup_cosine, warmup_linear, warmup_stable_decay
from .position import Rope, rotate, sinusoids
from .recurrent import GRUCell, LSTMCell, RecurrentConfig, RecurrentLM, RNNCell
from .sampling import (
    GREEDY,
    Sampling,
    apply_filters,
    filter_min_p,
    filter_top_k,
    filter_top_p,
    sample,
)
from .sentences import sentence_vectors
from .source import show_source
from .state import KVCache, LanguageModel, State
from .tokenizer import BPETokenizer, CharTokenizer, Tokenizer
from .tracing import Trace, attention_maps, capture, logit_lens, patch
from .train_config import TrainConfig
from .trainer import Trainer
from .transformer import Block, Embedding, Transformer
from .wordpiece import WordPieceTokenizer

__version__ = "0.1.0"

__all__ = [
    "BERT_BASE",
    "GPT2_SMALL",
    "GREEDY",
    "IGNORE",
    "MLP",
    "SMOLLM2_135M",
    "VASWANI_BASE",
    "Attention",
    "BPETokenizer",
    "Batch",
    "Block",
    "CausalLM",
    "CharTokenizer",
    "ChatTemplate",
    "Checkpoint",
    "Embedding",
    "GRUCell",
    "History",
    "Hypothesis",
    "Int4Linear",
    "Int8Linear",
    "KVCache",
    "LSTMCell",
    "LabelledTexts",
    "LanguageModel",
    "Loaded",
    "MaskedLM",
    "ModelConfig",
    "Muon",
    "NGramLM",
    "Progress",
    "RMSNorm",
    "RNNCell",
    "Record",
    "RecurrentConfig",
    "RecurrentLM",
    "Rope",
    "SampleText",
    "Sampling",
    "Seq2Seq",
    "SequenceClassifier",
    "SequentialWindows",
    "State",
    "Step",
    "SwiGLU",
    "TokenWindows",
    "Tokenizer",
    "Trace",
    "TrainConfig",
    "Trainer",
    "Transformer",
    "WordPieceTokenizer",
    "ablate_heads",
    "apply_filters",
    "attention_maps",
    "beam_search",
    "best_device",
    "capture",
    "causal_mask",
    "classification_loss",
    "count_parameters",
    "count_targets",
    "eval_mode",
    "explicit_attention",
    "fast_dtype",
    "filter_min_p",
    "filter_top_k",
    "filter_top_p",
    "fused_attention",
    "generate",
    "has_fast_bfloat16",
    "head_outputs",
    "init_weights",
    "int4_weights",
    "int8_weights",
    "kv_bytes_per_token",
    "left_pad",
    "lm_loss",
    "load",
    "logit_lens",
    "make_optimizer",
    "mean_pool",
    "newton_schulz",
    "patch",
    "perplexity",
    "pick",
    "post_norm",
    "pre_norm",
    "rotate",
    "sample",
    "sentence_vectors",
    "sequence_log_probs",
    "show_source",
    "sinusoids",
    "stream",
    "training_flops",
    "warmup_cosine",
    "warmup_linear",
    "warmup_stable_decay",
]
