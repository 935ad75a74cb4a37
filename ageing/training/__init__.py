"""From two folders of faces to a pair of generators."""
