"""Every file that passes between the stages: its name, its form, and how it is written and read.

`files` writes and reads single files, `manifest` says what made them, `processed` holds what is in
`data.processed_dir`, `runs` what is in a run dir. Nothing else saves or loads them.
"""
