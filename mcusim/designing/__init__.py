"""Networks for a board, where all else in mcusim takes a network as given.

spaces/       what may be chosen: search spaces, published ones as TOML, a user's file or function
witnesses/    a network of MCUNetV2's space for stated figures: `mcusim search-net`
optimising/   the best network of a space with its schedule, and which part of a space fits best: `mcusim search`
"""
