"""How much faster the recommended LSTM trains than the published recipe, on this machine.

    python benchmarks/lstm_training.py FOLDER_OF_ECG5000 [--runs 3] [--epochs 5]

Both are run in turn by `train_model.py` on the same splits. Of the published recipe only a few
epochs are run, and its 100 are reckoned from them; the recommended one is run whole.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
PUBLISHED, RECOMMENDED = "ecg5000_lstm_published", "ecg5000_lstm"
PUBLISHED_EPOCHS = 100


def main() -> None:
    """Print the seconds of each run, their medians, and the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw_dir", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5, help="of the published recipe")
    arguments = parser.parse_args()
    options = ["--set", f"data.raw_dir={arguments.raw_dir.absolute()}", "--json", "--quiet"]
    seconds: dict[str, list[float]] = {PUBLISHED: [], RECOMMENDED: []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.runs):
            for name, runs in seconds.items():
                few = ["--set", f"training.epochs={arguments.epochs}"] if name == PUBLISHED else []
                for script in ("preprocess_data.py", "train_model.py"):
                    again = ["--overwrite"] if script == "train_model.py" else []
                    command = [sys.executable, str(REPOSITORY / script), *options, *few, *again]
                    command += ["-c", str(REPOSITORY / "configs" / f"{name}.yaml")]
                    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=True)
                summary = json.loads(done.stdout)
                whole = PUBLISHED_EPOCHS / summary["epochs"] if name == PUBLISHED else 1
                runs.append(summary["seconds"] * whole)
                print(f"{name}: {runs[-1]:.1f} s", flush=True)
    published, recommended = (statistics.median(runs) for runs in seconds.values())
    print(f"medians: {published:.0f} s (of {PUBLISHED_EPOCHS} epochs, reckoned) and ", end="")
    print(f"{recommended:.1f} s, ratio {published / recommended:.0f}")


if __name__ == "__main__":
    main()
