"""Face ageing with CycleGAN: what the scripts on top share.

training: from two folders of faces to a pair of generators. photos: from a photo to an aged one. evaluation: how good a
pair of generators is.
"""
