#!/usr/bin/env bash
# Run all four stages for every config and seed, and collect the results in one CSV.
#
#   sweeps/grid.sh -o DIR [-s "0 1 2"] [-j JOBS] [-e] [-f] CONFIG... [-- OPTION...]
#
# -o DIR   gets a folder for each run, and metrics.jsonl and results.csv of the runs of this call
# -s SEEDS seeds, in quotes (default "0 1 2 3 4")
# -j JOBS  runs at a time (default 1), each on its share of the cores
# -e       evaluate and draw again, with the models that are there (for other `evaluation.*`)
# -f       no figures
# OPTION   for all stages, such as --set data.raw_dir=FOLDER
#
# What is done is not done again, and an interrupted training goes on where it stopped, so that the
# same command can be given after a break. Given twice at once, the two share the work: a stage waits
# for another one that works in its folder. A run that fails is reported and the others go on.
set -uo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
# The environment that make built, unless PYTHON names another.
python=${PYTHON:-$here/.venv/bin/python}
command -v "$python" >/dev/null || python=python3
out="" seeds="0 1 2 3 4" jobs=1 again="" figures=1

usage() {
    sed -n '4,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

while getopts "o:s:j:ef" option; do
    case $option in
        o) out=$OPTARG ;;
        s) seeds=$OPTARG ;;
        j) jobs=$OPTARG ;;
        e) again=--overwrite ;;
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
[ -n "$out" ] && [ ${#configs[@]} -gt 0 ] && [ "$jobs" -gt 0 ] 2>/dev/null || usage

if [ "$jobs" -gt 1 ]; then
    cores=$(getconf _NPROCESSORS_ONLN)
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores > jobs ? cores / jobs : 1))}
fi

# All stages of a config and seed; the result is a line of its own.
one() {
    local config=$1 seed=$2 name=$3 code
    shift 3
    local options=(--config "$config" --seed "$seed" --run-dir "$out/$name/run"
        --set "data.processed_dir=$out/$name/data" "$@")
    echo "== $name" >&2
    "$python" "$here/preprocess_data.py" "${options[@]}" --quiet >/dev/null &&
        "$python" "$here/train_model.py" "${options[@]}" --resume --quiet >/dev/null &&
        "$python" "$here/evaluate_model.py" "${options[@]}" $again --json --quiet \
            >"$lines/$name" &&
        { [ -z "$figures" ] ||
            "$python" "$here/visualize_results.py" "${options[@]}" $again --quiet >/dev/null; }
    code=$?
    [ "$code" -eq 0 ] && return
    rm -f "$lines/$name"
    [ "$code" -eq 130 ] || echo "== $name failed (exit code $code)" >&2
    return "$code"
}

# The lines of this call; another may work in the same folder.
lines=$(mktemp -d) || exit 1
trap 'rm -rf "$lines"' EXIT
mkdir -p "$out" || exit 2
failed=0 running=0 names=()
# Take note of how a run ended. Ctrl-C ends the sweep, not only the run.
ended() {
    case $1 in
        0) ;;
        130) exit 130 ;;
        *) failed=1 ;;
    esac
}
finish() {
    wait -n
    ended $?
    running=$((running - 1))
}
if [ "$jobs" -gt 1 ]; then
    # Each run in a process group of its own, which a signal reaches whole.
    set -m
    trap 'for run in $(jobs -p); do kill -TERM -- "-$run"; done; wait; exit 130' INT TERM
fi
for config in "${configs[@]}"; do
    for seed in $seeds; do
        name=$(basename "$config" .yaml)-seed$seed
        names+=("$name")
        if [ "$jobs" -eq 1 ]; then
            one "$config" "$seed" "$name" "$@"
            ended $?
            continue
        fi
        one "$config" "$seed" "$name" "$@" &
        running=$((running + 1))
        [ "$running" -lt "$jobs" ] || finish
    done
done
while [ "$running" -gt 0 ]; do
    finish
done

for name in "${names[@]}"; do
    [ ! -e "$lines/$name" ] || cat "$lines/$name"
done >"$lines/metrics.jsonl"
[ -s "$lines/metrics.jsonl" ] || exit 1
"$python" "$here/sweeps/collect.py" "$lines/metrics.jsonl" "$lines/results.csv" || exit $?
for table in metrics.jsonl results.csv; do
    cp "$lines/$table" "$out/.$table.$$" && mv "$out/.$table.$$" "$out/$table" || exit 1
done
exit $failed
