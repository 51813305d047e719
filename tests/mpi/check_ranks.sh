#!/bin/sh
# Training over MPI gives the same model with 1, 2 and 4 ranks, and with another number after a stop. usage: check_ranks.sh ROOT BUILD
set -eu
root=$1 build=$2/mpi
cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release -DTINYSTORIES_MPI=ON -DTINYSTORIES_TESTS=OFF >/dev/null
cmake --build "$build" -j "$(nproc)" >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$build/tinystories" dataset generate --count 300 --seed 2 --out text.txt --quiet
train() { # RANKS ARGUMENTS...
    ranks=$1
    shift
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe -n "$ranks" "$build/tinystories" train --mpi --threads 1 --quiet --text text.txt "$@"
}
for ranks in 1 2 4; do
    train $ranks --preset laptop-0.3m --steps 8 --slices 4 --batch-tokens 2048 --seed 1 --context 64 --out "model$ranks.gguf"
done
cmp model1.gguf model2.gguf
cmp model1.gguf model4.gguf
train 4 --preset laptop-0.3m --steps 5 --slices 4 --batch-tokens 2048 --seed 1 --context 64 --run run --out half.gguf
train 2 --resume --run run --steps 8 --out resumed.gguf
test -s resumed.gguf
! train 3 --preset laptop-0.3m --steps 2 --slices 4 --out three.gguf 2>refused.txt
grep -q "power of two" refused.txt
