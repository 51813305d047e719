#!/bin/sh
# From nothing to a told story: installs what is missing, builds, writes a dataset, trains a tokenizer and a model on it, and tells three stories.
#
# usage: quickstart.sh [--text FILE] [--valid FILE] [--minutes N] [--out DIR]
#   --text     train on your own stories (.txt divided by <|endoftext|>, .jsonl, each also .gz) instead of written ones
#   --valid    stories to measure with; without it a share of the text is held out
#   --minutes  of training, 6 by default
#   --out      where everything goes, ./quickstart by default: stories.txt, beginnings.txt, model.gguf and report.html there are replaced, a run's folder never
set -eu

usage() {
    sed -n 's/^# \{0,1\}//; 2,/^set /{/^set /d; p}' "$0"
}

text="" valid="" minutes=6 out=$(pwd)/quickstart prompts=examples/prompts.txt temperature=0.8
while [ $# -gt 0 ]; do
    case $1 in -h | --help) usage; exit 0 ;; esac
    [ $# -ge 2 ] || { echo "quickstart: $1 needs a value" >&2; exit 2; }
    case $1 in
    --text) text=$(realpath "$2") ;;
    --valid) valid=$(realpath "$2") ;;
    --minutes) minutes=$2 ;;
    --out) out=$(realpath -m "$2") ;;
    *) echo "quickstart: unknown option $1; see --help" >&2; exit 2 ;;
    esac
    shift 2
done
for file in ${text:+"$text"} ${valid:+"$valid"}; do
    [ -r "$file" ] || { echo "quickstart: $file cannot be read" >&2; exit 1; }
done
cd "$(dirname "$0")/.."

echo "== what is needed"
missing=""
for pair in gcc:gcc cmake:cmake make:make pkg-config:pkg-config; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
for pair in openblas:libopenblas-dev zlib:zlib1g-dev libcjson:libcjson-dev libcurl:libcurl4-openssl-dev; do
    pkg-config --exists "${pair%%:*}" 2>/dev/null || missing="$missing ${pair#*:}"
done
if [ -n "$missing" ]; then
    echo "installing$missing"
    sudo=""
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libc6-dev $missing >/dev/null # sudo would drop the variable
fi

echo "== building"
cmake -S . -B build/quickstart -DCMAKE_BUILD_TYPE=Release -DTINYSTORIES_TESTS=OFF >/dev/null
cmake --build build/quickstart -j "$(nproc)" >/dev/null
tinystories=$(pwd)/build/quickstart/tinystories
mkdir -p "$out"
run=$out/run number=1
while [ -e "$run" ]; do # an earlier run stays
    number=$((number + 1))
    run=$out/run-$number
done

if [ -z "$text" ]; then
    # Of two children and a dozen plots: that is what so small a model learns to tell in so few minutes. Without these options there are all names and plots.
    echo "== writing 20,000 stories of Lily and Tom"
    text=$out/stories.txt prompts=$out/beginnings.txt temperature=0.5
    write() {
        "$tinystories" dataset generate --seed 1 --hero Lily --friend Tom --plots 12 --features Dialogue MoralValue --quiet "$@"
    }
    write --count 20000 --out "$text"
    write --first 20000 --count 12 --out - | awk 'NR == 1 || before == "<|endoftext|>"; { before = $0 }' >"$prompts"
fi

echo "== training for $minutes minutes"
if [ -n "$valid" ]; then
    "$tinystories" train --text "$text" --valid "$valid" --minutes "$minutes" --run "$run" --out "$out/model.gguf"
else
    "$tinystories" train --text "$text" --minutes "$minutes" --run "$run" --out "$out/model.gguf"
fi

if [ -n "$valid" ]; then
    echo "== loss on $valid"
    "$tinystories" evaluate loss --model "$out/model.gguf" --text "$valid" --quiet
fi

echo "== three stories"
"$tinystories" sample --model "$out/model.gguf" --prompt "Once upon a time" --seed 1 --count 3 --temperature "$temperature" --min-p 0.1

echo "== grades of the embedded judge, for 36 stories that go on with the beginnings in $prompts"
"$tinystories" evaluate judge --model "$out/model.gguf" --prompts "$prompts" --completions-per-prompt 3 --tokens 300 --text "$text" --seed 1 \
    --out "$run/judge.json" --quiet

page=""
if python3 -c 'import matplotlib, jinja2' 2>/dev/null; then
    echo "== report"
    PYTHONPATH=bindings/python TINYSTORIES_LIBRARY=$(pwd)/build/quickstart/libtinystories.so "$tinystories" report "$run" "$out/model.gguf" \
        --text "$text" -o "$out/report.html"
    page=$out/report.html
fi

echo "== files"
echo "stories     $text"
echo "model       $out/model.gguf"
echo "checkpoint  $run/checkpoint.safetensors"
echo "log         $run/log.jsonl"
echo "grades      $run/judge.json"
echo "report      ${page:-none: it needs Python with matplotlib and Jinja2}"
