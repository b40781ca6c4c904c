"""Cycles: what a runtime's kernels take on a board, from measured networks, counted instructions and a regression.

cycles.py        cycles by cause
efforts.py       Work -> amounts of each kind of effort: of a convolution, a depthwise kernel, a copy ...
prices.py        amounts of effort -> cycles on a board
breakdown.py     Program -> what each layer does and costs
stages.py        what each stage computes again, and what its halos take
physics.py       what an effort costs where nobody measured: counted instructions and a core's timing
systems.py       what was measured on what: runtime, version, core, series, board, and what systems share
measurements.py  published measurements and the layers of the networks measured, as data with sources
regression.py    measured cycles + physics -> cycles of an effort on any system, with their covariance
covariances.py   how much two systems have to do with each other, level by level
intervals.py     how wide the interval around a time is
fitting.py       makes a fit from measurements, stores it, scores it with networks left out
stored.py        the fit that the package ships
places.py        which measured system is nearest to a runtime on a board
emulated.py      prices of mcusim's own kernels, from instructions counted in emulation
own.py           a user's own measurements, and logs of layers (own_logs.py, layer_logs.py, log_lines.py)
validation.py    predicted beside measured, with networks, boards, versions left out (scoring.py)
evidence.py      what was measured, and stands behind a time
"""
