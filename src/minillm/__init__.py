"""minillm: the small, exact PyTorch package behind the book *Inside Large Language Models*.

Shapes are written with single letters everywhere: B batch, T query length, S key length, D d_model,
H heads, K key-value heads, E head_dim, F width of the feed-forward network, V vocabulary, L layers.
Masks are bool and True means "may attend" or "is a real token".
"""

from .attention import Attention, causal_mask, explicit_attention, fused_attention
from .config import BERT_BASE, GPT2_SMALL, SMOLLM2_135M, VASWANI_BASE, ModelConfig
from .ffn import MLP, SwiGLU
from .models import (
    CausalLM,
    MaskedLM,
    Seq2Seq,
    SequenceClassifier,
    count_parameters,
    init_weights,
    kv_bytes_per_token,
    mean_pool,
    training_flops,
)
from .norm import RMSNorm, post_norm, pre_norm
from .position import Rope, rotate, sinusoids
from .recurrent import RecurrentConfig, RecurrentLM
from .state import KVCache, LanguageModel, State
from .tracing import Trace, attention_maps, capture, logit_lens, patch
from .transformer import Block, Embedding, Transformer

__version__ = "0.1.0"
