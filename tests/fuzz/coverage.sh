#!/bin/sh
# How much of the readers mutated files reach: builds with gcov in FOLDER, runs COUNT mutants, and prints a line of Markdown a file.
# usage: coverage.sh FOLDER [COUNT [SEED]]
set -eu
[ $# -ge 1 ] || { sed -n 3p "$0" >&2; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$1
cmake -S "$root" -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS="-O1 --coverage" -DTINYSTORIES_PROGRAMS=OFF -DTINYSTORIES_TESTS=ON >/dev/null
cmake --build "$folder" --target test_mutations >/dev/null
find "$folder" -name '*.gcda' -delete
"$folder/tests/test_mutations" "${2:-20000}" "${3:-1}" >/dev/null
echo "| file | lines | reached | branches taken |"
echo "|---|---|---|---|"
cd "$folder"
for source in format/gguf format/gguf_values format/gguf_tensors format/safetensors format/llama2c format/json format/tar format/gzip format/stories format/tokens \
    model/gguf_keys model/gguf_model model/llama2c_model model/huggingface_config model/huggingface_model model/model_files \
    tokenizer/tokenizer_index tokenizer/tokenizer_gguf tokenizer/tokenizer_json tokenizer/tokenizer_json_pieces tokenizer/tokenizer_json_words \
    tokenizer/tokenizer_llama2c tokenizer/tokenizer_tiktoken sampler/session trainer/checkpoint evaluator/novelty; do
    gcov -b -n "CMakeFiles/tinystories_objects.dir/lib/$source.c.gcda" 2>/dev/null | awk -v name="lib/$source.c" '
        /^File/ { mine = index($0, name) > 0 }
        mine && /^Lines executed/ { split($2, of, ":"); lines = $4; reached = of[2] }
        mine && /^Taken at least once/ { split($4, of, ":"); branches = of[2] }
        END { printf "| `%s` | %s | %s | %s |\n", name, lines, reached, branches }'
done
