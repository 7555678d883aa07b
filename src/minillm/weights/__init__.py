"""Read weights that others trained: file formats, and tables that map their names to ours."""

from minillm.weights.gguf import GGUF
from minillm.weights.safetensors import read_safetensors, write_safetensors

__all__ = ["GGUF", "read_safetensors", "write_safetensors"]
