"""How good a pair of generators is, as numbers and pictures."""
