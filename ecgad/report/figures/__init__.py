"""Arrays to matplotlib figures; memory-mapped beats are read in blocks.

`style` holds what all share, and `classes` what they say of a split's classes; `data` draws the
beats, `recordings` the records, `model` the training and the reconstructions, `detection` the
scores and what is called anomalous.
"""
