"""How good a pair of generators is, as numbers and pictures."""

FEWEST = 8  # faces per domain; with fewer the intervals say nothing
