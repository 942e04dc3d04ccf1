"""Arrays to matplotlib figures; opens no file.

`style` holds what all share, `data` draws the beats, `model` the training and the reconstructions,
`detection` the scores and verdicts.
"""
