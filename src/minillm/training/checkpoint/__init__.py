"""A run on disk: `file` of one process, `folder` of sharded ranks, `state` of what is in both."""
