#!/bin/sh
# Telling and reading with the 15M llama shape (288 wide, 6 layers, 6 heads, 768 hidden, 32,000 entries) beside llama.cpp and llama2.c, one after another in
# rounds, and the medians of the rounds as a table. A person starts it; a quiet machine is best, and what counts are ratios.
#
# usage: inference.sh BUILD TOKENIZER_MODEL [LLAMA_CPP_BIN] [LLAMA2C_RUN] [ROUNDS]
#   BUILD            our build folder
#   TOKENIZER_MODEL  any llama model with a SentencePiece tokenizer, stories260K.bin for instance; its tokenizer stands for the shape's
#   LLAMA_CPP_BIN    folder with llama-bench: `pip download --no-binary :all: --no-deps llama-cpp-python`, unpack, and in vendor/llama.cpp
#                    `cmake -B build -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON && cmake --build build --target llama-bench`; "" leaves it out.
#                    LLAMA_CPP_REPACK=0 where its repacked kernels stop with an illegal instruction. LLAMA_CPP_AVX2, if set: the folder of
#                    the same built with -DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON
#   LLAMA2C_RUN      run.c of github.com/karpathy/llama2.c, built by `gcc -Ofast -fopenmp -march=native run.c -lm -o run`; "" leaves it out
set -eu
export OPENBLAS_NUM_THREADS=1 # which telling has no use for; its idle threads take turns with ours when a process begins
build=$(realpath "$1") words=$(realpath "$2") peer=${3:-} llama2c=${4:-} rounds=${5:-5}
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gcc -O2 -march=native -I "$here/../../include" "$here/bench_inference.c" -L "$build" -ltinystories -pthread -Wl,-rpath,"$build" -o "$work/ours"
"$work/ours" make "$words" "$work/model"
for type in q8_0 q4_0; do
    "$build/tinystories" model quantize "$work/model.gguf" "$work/$type.gguf" --type $type >/dev/null
done

note() { # NAME VALUE
    echo "$2" >>"$work/$1"
}
median() {
    [ -s "$work/$1" ] && sort -n "$work/$1" | awk '{v[NR] = $1} END {printf "%s", v[int((NR + 1) / 2)]}' || printf -- "-"
}
bench() { # FOLDER MODEL THREADS ROW
    LD_LIBRARY_PATH=$1 "$1/llama-bench" -m "$2" -t "$3" -p 128 -n 128 -r 1 --repack "${LLAMA_CPP_REPACK:-1}" -o csv 2>/dev/null | awk -F'","' -v row="$4" '
        NR == 1 {count = split($0, names, ","); for (i = 1; i <= count; i++) column[names[i]] = i}
        NR > 1 && ($column["n_gen"] > 0) == (row == "tell") {gsub(/"/, "", $column["avg_ts"]); printf "%.0f\n", $column["avg_ts"]}'
}

for round in $(seq "$rounds"); do
    for threads in 1 2; do
        note "f32 bound $threads" "$("$work/ours" 60766848 $threads pass)"
        note "q8_0 bound $threads" "$("$work/ours" 16141194 $threads pass)"
        for what in greedy read 64; do
            note "f32 $what $threads" "$("$work/ours" "$work/model.gguf" $threads 0 $what)"
            note "q8_0 $what $threads" "$("$work/ours" "$work/q8_0.gguf" $threads 0 $what)"
        done
        note "q4_0 greedy $threads" "$("$work/ours" "$work/q4_0.gguf" $threads 0 greedy)"
        note "q8_0 avx2 $threads" "$("$work/ours" "$work/q8_0.gguf" $threads 2 greedy)"
        if [ -n "$peer" ]; then
            note "f32 llama.cpp greedy $threads" "$(bench "$peer" "$work/model.gguf" $threads tell)"
            note "f32 llama.cpp read $threads" "$(bench "$peer" "$work/model.gguf" $threads read)"
            note "q8_0 llama.cpp greedy $threads" "$(bench "$peer" "$work/q8_0.gguf" $threads tell)"
            note "q8_0 llama.cpp read $threads" "$(bench "$peer" "$work/q8_0.gguf" $threads read)"
        fi
        [ -z "${LLAMA_CPP_AVX2:-}" ] || note "q8_0 llama.cpp avx2 $threads" "$(bench "$LLAMA_CPP_AVX2" "$work/q8_0.gguf" $threads tell)"
        [ -z "$llama2c" ] || note "f32 llama2.c greedy $threads" \
            "$(OMP_NUM_THREADS=$threads "$llama2c" "$work/model.bin" -z "$work/model.tokenizer.bin" -n 128 -t 0 -s 1 -i Once 2>&1 >/dev/null | awk '/tok\/s/ {print $NF}')"
    done
    note "stories260K" "$("$work/ours" "$words" 1 0 greedy)"
    echo "round $round of $rounds" >&2
done

echo "| tokens per second | 1 thread | 2 threads |"
echo "|---|---|---|"
row() { # TEXT NAME
    echo "| $1 | $(median "$2 1") | $(median "$2 2") |"
}
row "passes over the weights, f32 (a bound)" "f32 bound"
row "telling, f32" "f32 greedy"
row "llama.cpp" "f32 llama.cpp greedy"
row "llama2.c" "f32 llama2.c greedy"
row "64 stories at once, f32" "f32 64"
row "a prompt of 128 tokens, f32" "f32 read"
row "llama.cpp" "f32 llama.cpp read"
row "passes over the weights, q8_0 (a bound)" "q8_0 bound"
row "telling, q8_0" "q8_0 greedy"
row "llama.cpp" "q8_0 llama.cpp greedy"
row "telling, q8_0, by AVX2" "q8_0 avx2"
row "llama.cpp by AVX2" "q8_0 llama.cpp avx2"
row "64 stories at once, q8_0" "q8_0 64"
row "a prompt of 128 tokens, q8_0" "q8_0 read"
row "llama.cpp" "q8_0 llama.cpp read"
row "telling, q4_0" "q4_0 greedy"
echo "| stories260K, f32 | $(median stories260K) | |"
