"""What the published page adds to Sphinx."""
