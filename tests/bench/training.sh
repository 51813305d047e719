#!/bin/sh
# Training speed beside PyTorch and llm.c, one after another in one run. A person starts it; a quiet machine is best.
#
# usage: training.sh BUILD [PEER_TORCH.py] [LLM_C]
#   BUILD          our build folder
#   PEER_TORCH.py  a script that takes THREADS WIDTH DEPTH HEADS VOCABULARY T BATCH and measures PyTorch
#   LLM_C          a checkout of github.com/karpathy/llm.c
set -eu
build=$(realpath "$1") torch=${2:-} llmc=${3:-}
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
gcc -O2 -I "$here/../../include" "$here/bench_train.c" -L "$build" -ltinystories -Wl,-rpath,"$build" -o bench_train
[ -z "$llmc" ] || gcc -Ofast -march=native -fopenmp -w -I "$llmc" "$here/peer_llmc_speed.c" -lm -o peer_llmc_speed
for shape in "256 8 8 10240 256 8" "128 4 4 4096 256 8"; do
    for threads in 2 1; do
        # shellcheck disable=SC2086
        ./bench_train 2 $shape $threads
        # shellcheck disable=SC2086
        [ -z "$torch" ] || /usr/bin/python3 "$torch" $threads $shape
    done
    # shellcheck disable=SC2086
    ./bench_train 1 $shape 2
    # shellcheck disable=SC2086
    [ -z "$llmc" ] || OMP_NUM_THREADS=2 ./peer_llmc_speed $shape | tail -n 1
done
