"""The way from a recording to beats that looks ahead no further than LOOK_AHEAD.

What runs on a file runs on a stream: samples are pushed in as they come, in chunks of any size, and
what is final comes out. All is counted from the first sample, so that chunks make no difference.
"""

# s after an R peak: nothing that is known of its beat depends on what comes later.
LOOK_AHEAD = 2.0
