"""The model. Read the files in this order; each uses only those before it.

1. `config`: the sizes and the kinds of parts, and what a real model chose.
2. `norm`, `ffn`, `position`: the small parts of a block, and where they stand.
3. `kv_cache`: what a Transformer remembers between two tokens.
4. `attention`: from scores and softmax to many heads with a mask.
5. `transformer`: the block, and a stack of blocks with embeddings.
6. `models`: heads on the stack: `CausalLM` (GPT, Llama), `MaskedLM` (BERT), `Seq2Seq`.

Beside the road: `linear` (the layer all others use), `classifier`, `recurrent` (RNN, GRU and LSTM),
`moe` (a feed-forward network of experts), `lora` (a trainable difference of low rank), `counting`
(parameters, bytes, FLOPs), `eval_mode`.
"""
