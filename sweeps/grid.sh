#!/usr/bin/env bash
# Run all four stages for every config and seed, and collect the results in one CSV.
#
#   sweeps/grid.sh -o DIR [-s "0 1 2"] [-f] CONFIG... [-- OPTION...]
#
# -o DIR   gets a folder for each run, and metrics.jsonl and results.csv of the runs of this call
# -s SEEDS seeds, in quotes (default "0 1 2 3 4")
# -f       no figures
# OPTION   for all stages, such as --set data.raw_dir=FOLDER
#
# What is done is not done again, and an interrupted training goes on where it stopped, so that the
# same command can be given after a break. A run that fails is reported and the others go on.
set -uo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
# The environment that make built, unless PYTHON names another.
python=${PYTHON:-$here/.venv/bin/python}
command -v "$python" >/dev/null || python=python3
out="" seeds="0 1 2 3 4" figures=1

usage() {
    sed -n '4,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

while getopts "o:s:f" option; do
    case $option in
        o) out=$OPTARG ;;
        s) seeds=$OPTARG ;;
        f) figures="" ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))
configs=()
while [ $# -gt 0 ] && [ "$1" != "--" ]; do
    configs+=("$1")
    shift
done
[ $# -gt 0 ] && shift
[ -n "$out" ] && [ ${#configs[@]} -gt 0 ] || usage

mkdir -p "$out"
: >"$out/metrics.jsonl"
failed=0
for config in "${configs[@]}"; do
    for seed in $seeds; do
        name=$(basename "$config" .yaml)-seed$seed
        options=(--config "$config" --seed "$seed" --run-dir "$out/$name/run"
            --set "data.processed_dir=$out/$name/data" "$@")
        echo "== $name" >&2
        if "$python" "$here/preprocess_data.py" "${options[@]}" --quiet >/dev/null &&
            "$python" "$here/train_model.py" "${options[@]}" --resume --quiet >/dev/null &&
            line=$("$python" "$here/evaluate_model.py" "${options[@]}" --json --quiet) &&
            { [ -z "$figures" ] ||
                "$python" "$here/visualize_results.py" "${options[@]}" --quiet >/dev/null; }; then
            echo "$line" >>"$out/metrics.jsonl"
            continue
        else
            code=$?
        fi
        # Ctrl-C ends the sweep, not only the run.
        [ "$code" -eq 130 ] && exit 130
        echo "== $name failed (exit code $code)" >&2
        failed=1
    done
done

[ -s "$out/metrics.jsonl" ] || exit 1
"$python" "$here/sweeps/collect.py" "$out/metrics.jsonl" "$out/results.csv" || exit $?
exit $failed
