"""Change weights: objectives, optimisers and schedules, the loop, and how a run is kept.

Read `objectives`, `optim`, `schedules`, then `trainer`; `checkpoint` and `callbacks` are what a run
keeps and shows, `parallel` and `distributed` spread it over several devices.
"""
