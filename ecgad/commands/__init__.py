"""What is run from a shell: what the four scripts share, and the command `ecgad`.

A subcommand of `ecgad` is a module here, with a function of the module's name, and an entry below;
it is imported when it is called.
"""

from ecgad.commands import interrupts

interrupts.catch()

# By name: what it does, in one line.
COMMANDS: dict[str, str] = {
    "compare": "Compare annotations with a reference, beat by beat, as EC57 has it.",
    "detect": "Find the beats of recordings, and say which are anomalous.",
    "export": "Write the detector of a run as one ONNX file.",
}
