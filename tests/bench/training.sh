#!/bin/sh
# Training speed and peak memory beside PyTorch and llm.c, one after another in one run: four shapes, f32 and bf16. A person starts it; a quiet machine is best.
#
# usage: training.sh BUILD [PEER_TORCH.py] [LLM_C] [SHAPES]
#   BUILD          our build folder
#   PEER_TORCH.py  a script that takes THREADS WIDTH DEPTH HEADS VOCABULARY T BATCH [bf16] and prints "... N tokens/s ..."; "" leaves it out.
#                  PYTHONS: the interpreters that have a torch, python3 unless set
#   LLM_C          a checkout of github.com/karpathy/llm.c; "" leaves it out
#   SHAPES         numbers of shapes, "1 2 3 4" unless given
# Memory is what the whole process had resident at most; PyTorch's has its libraries in it.
set -eu
build=$(realpath "$1") torch=${2:-} llmc=${3:-} shapes=${4:-1 2 3 4}
[ -z "$torch" ] || torch=$(realpath "$torch")
half=bf16
grep -q amx_bf16 /proc/cpuinfo && half=amx # bf16 by AMX, which has to be asked for
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
gcc -O2 -I "$here/../../include" "$here/bench_train.c" -L "$build" -ltinystories -Wl,-rpath,"$build" -o bench_train
[ -z "$llmc" ] || gcc -Ofast -march=native -fopenmp -w -I "$llmc" "$here/peer_llmc_speed.c" -lm -o peer_llmc_speed

# row NAME COMMAND...: one line of the table
row() {
    name=$1
    shift
    /usr/bin/time -f "MAXIMUM %M" -o memory "$@" >out 2>err || { echo "| $name | failed: $(tail -n 1 err) | |"; return; }
    echo "| $name | $(grep -oE '[0-9]+ tokens/s' out | tail -n 1 | cut -d' ' -f1) | $(awk '/MAXIMUM/ {printf "%.0f MB", $2 / 1000}' memory) |"
}

# bench_train's kind, then what all take: width, depth, heads, vocabulary, T, batch
for number in $shapes; do
    case $number in
    1) kind=2 shape="128 4 4 4096 256 8" ;;
    2) kind=2 shape="256 8 8 10240 256 8" ;;
    3) kind=2 shape="512 8 8 10240 256 4" ;;
    4) kind=3 shape="64 8 16 10000 512 8" ;; # the paper's 1M: heads of 4, windows of 256
    esac
    echo
    echo "| $shape | tokens/s | memory |"
    echo "|---|---|---|"
    for precision in f32 $half; do
        for threads in 2 1; do
            # shellcheck disable=SC2086
            row "ours, $precision, $threads" ./bench_train $kind $shape $threads $precision
        done
    done
    for python in ${PYTHONS:-python3}; do
        [ -n "$torch" ] || continue
        version=$("$python" -c 'import torch; print(torch.__version__)')
        for threads in 2 1; do
            # shellcheck disable=SC2086
            row "PyTorch $version, f32, $threads" "$python" "$torch" $threads $shape
            # shellcheck disable=SC2086
            row "PyTorch $version, bf16, $threads" "$python" "$torch" $threads $shape bf16
        done
    done
    # shellcheck disable=SC2086
    [ -z "$llmc" ] || OMP_NUM_THREADS=2 row "llm.c, f32, 2" ./peer_llmc_speed $shape
done
