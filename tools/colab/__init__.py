"""Notebooks for Colab: what their cells become, and the environment in which they are tried out."""
