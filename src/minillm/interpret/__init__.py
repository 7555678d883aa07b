"""Look into a running model: `tracing` records and patches, `head_ablation` takes heads out."""
