"""Use weights: sample and search for text, score it, read sentences, store matrices in few bits."""
