"""A training run from one TOML file: `config` checks it, `run` does it, `card` describes it."""
