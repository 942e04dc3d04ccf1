"""Every file that passes between the stages: its name, its form, and how it is written and read.

`files`, `arrays` and `tensors` write and read single files. `manifest` says what made them,
`stages` what each stage needs of those before it. `processed` holds what is in
`data.processed_dir`; `runs`, `checkpoint` and `training` what is in a run dir. Nothing else saves
or loads them.
"""
