"""minillm: the small, exact PyTorch package behind the book *Inside Large Language Models*.

Shapes are written with single letters everywhere: B batch, T query length, S key length, D d_model,
H heads, K key-value heads, E head_dim, F width of the feed-forward network, V vocabulary, L layers.
Masks are bool and True means "may attend" or "is a real token". Texts are in `minillm.corpora`,
pictures in `minillm.plot`, explorables in `minillm.widgets`; the last two need an extra.
"""

from minillm.data.batch import IGNORE, Batch
from minillm.data.labelled import LabelledTexts
from minillm.data.masking import MaskedRows, mask_tokens
from minillm.data.pairs import TokenPairs
from minillm.data.sentence_pairs import SentencePairs, segments_of
from minillm.data.windows import SequentialWindows, TokenWindows
from minillm.device import best_device, choose_threads, fast_dtype, has_fast_bfloat16
from minillm.inference.beam import Hypothesis, beam_search
from minillm.inference.conditioned import Conditioned
from minillm.inference.generate import Step, generate, left_pad, stream
from minillm.inference.int4 import Int4Linear, int4_weights
from minillm.inference.int8 import Int8Linear, int8_weights
from minillm.inference.perplexity import perplexity
from minillm.inference.repetition import (
    Restrained,
    forbid_repeated_ngrams,
    penalise_repeats,
)
from minillm.inference.retrieval import (
    BM25,
    mean_reciprocal_rank,
    recall_at_k,
    reciprocal_rank_fusion,
)
from minillm.inference.sampling import (
    GREEDY,
    Sampling,
    apply_filters,
    filter_min_p,
    filter_top_k,
    filter_top_p,
    sample,
)
from minillm.inference.sentence_vectors import sentence_vectors
from minillm.inference.speculative import Speculation, speculative_generate
from minillm.interpret.head_ablation import ablate_heads, head_outputs
from minillm.interpret.tracing import Trace, attention_maps, capture, logit_lens, patch
from minillm.ngram import NGramLM
from minillm.nn.attention import Attention, causal_mask, explicit_attention, fused_attention
from minillm.nn.classifier import SequenceClassifier, mean_pool
from minillm.nn.config import BERT_BASE, GPT2_SMALL, SMOLLM2_135M, VASWANI_BASE, ModelConfig
from minillm.nn.counting import count_parameters, kv_bytes_per_token, training_flops
from minillm.nn.eval_mode import eval_mode
from minillm.nn.ffn import MLP, SwiGLU
from minillm.nn.kv_cache import KVCache
from minillm.nn.lora import LoRALinear, add_lora, lora_state_dict, merge_lora
from minillm.nn.models import CausalLM, MaskedLM, Seq2Seq, init_weights
from minillm.nn.norm import RMSNorm, post_norm, pre_norm
from minillm.nn.position import Rope, rotate, sinusoids
from minillm.nn.recurrent import GRUCell, LSTMCell, RecurrentConfig, RecurrentLM, RNNCell
from minillm.nn.transformer import Block, Embedding, Transformer
from minillm.notebook import pick, show_source
from minillm.protocol import LanguageModel, State
from minillm.tokenizer import BPETokenizer, CharTokenizer, Tokenizer
from minillm.tokenizer.chat import ChatTemplate
from minillm.tokenizer.wordpiece import WordPieceTokenizer
from minillm.training.callbacks.progress import Progress
from minillm.training.callbacks.sample import SampleText
from minillm.training.callbacks.saving import Checkpoint
from minillm.training.config import TrainConfig
from minillm.training.history import History, Record
from minillm.training.muon import Muon, newton_schulz
from minillm.training.objectives import (
    classification_loss,
    count_targets,
    lm_loss,
    mlm_loss,
    seq2seq_loss,
    sequence_log_probs,
    shift_right,
)
from minillm.training.optim import make_optimizer
from minillm.training.schedules import warmup_cosine, warmup_linear, warmup_stable_decay
from minillm.training.trainer import Trainer
from minillm.weights.load import Loaded, load

__version__ = "0.1.0"

__all__ = [
    "BERT_BASE",
    "BM25",
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
    "Conditioned",
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
    "LoRALinear",
    "Loaded",
    "MaskedLM",
    "MaskedRows",
    "ModelConfig",
    "Muon",
    "NGramLM",
    "Progress",
    "RMSNorm",
    "RNNCell",
    "Record",
    "RecurrentConfig",
    "RecurrentLM",
    "Restrained",
    "Rope",
    "SampleText",
    "Sampling",
    "SentencePairs",
    "Seq2Seq",
    "SequenceClassifier",
    "SequentialWindows",
    "Speculation",
    "State",
    "Step",
    "SwiGLU",
    "TokenPairs",
    "TokenWindows",
    "Tokenizer",
    "Trace",
    "TrainConfig",
    "Trainer",
    "Transformer",
    "WordPieceTokenizer",
    "ablate_heads",
    "add_lora",
    "apply_filters",
    "attention_maps",
    "beam_search",
    "best_device",
    "capture",
    "causal_mask",
    "choose_threads",
    "classification_loss",
    "count_parameters",
    "count_targets",
    "eval_mode",
    "explicit_attention",
    "fast_dtype",
    "filter_min_p",
    "filter_top_k",
    "filter_top_p",
    "forbid_repeated_ngrams",
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
    "lora_state_dict",
    "make_optimizer",
    "mask_tokens",
    "mean_pool",
    "mean_reciprocal_rank",
    "merge_lora",
    "mlm_loss",
    "newton_schulz",
    "patch",
    "penalise_repeats",
    "perplexity",
    "pick",
    "post_norm",
    "pre_norm",
    "recall_at_k",
    "reciprocal_rank_fusion",
    "rotate",
    "sample",
    "segments_of",
    "sentence_vectors",
    "seq2seq_loss",
    "sequence_log_probs",
    "shift_right",
    "show_source",
    "sinusoids",
    "speculative_generate",
    "stream",
    "training_flops",
    "warmup_cosine",
    "warmup_linear",
    "warmup_stable_decay",
]
