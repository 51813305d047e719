#!/bin/sh
# Training over MPI gives the same model with 1, 2 and 4 ranks, and with another number after a rank was killed; ranks that differ all say so.
# usage: check_ranks.sh ROOT BUILD
set -eu
root=$1 build=$2/mpi
cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release -DTINYSTORIES_MPI=ON -DTINYSTORIES_TESTS=OFF >/dev/null
cmake --build "$build" -j "$(nproc)" >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
refused() { # COMMAND...: `set -e` does not see what stands behind a "!"
    if "$@"; then
        echo "expected a failure: $*"
        exit 1
    fi
}
"$build/tinystories" dataset generate --count 300 --seed 2 --out text.txt --quiet
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
train() { # RANKS ARGUMENTS...
    ranks=$1
    shift
    mpirun --oversubscribe -n "$ranks" "$build/tinystories" train --mpi --threads 1 --quiet --text text.txt "$@"
}
for ranks in 1 2 4; do
    train $ranks --preset laptop-0.3m --steps 8 --slices 4 --batch-tokens 2048 --seed 1 --context 64 --out "model$ranks.gguf"
done
cmp model1.gguf model2.gguf
cmp model1.gguf model4.gguf

# A rank is killed: the job ends with a failure, the checkpoint is whole, and one rank goes on from it to the model of a run that nobody stopped.
train 1 --preset laptop-0.3m --steps 100 --slices 4 --batch-tokens 2048 --seed 1 --context 64 --out straight.gguf
mpirun --oversubscribe -n 4 "$build/tinystories" train --mpi --threads 1 --quiet --text text.txt --preset laptop-0.3m --steps 100 --slices 4 --batch-tokens 2048 --seed 1 \
    --context 64 --checkpoint-interval 1 --run run --out killed.gguf 2>killed.txt &
job=$!
tries=0
until test -e run/checkpoint.safetensors || test $tries -ge 1200; do
    sleep 0.1
    tries=$((tries + 1))
done
kill -9 "$(pgrep -P $job | tail -n 1)"
tries=0
while kill -0 $job 2>/dev/null && test $tries -lt 600; do # a minute is more than enough to end
    sleep 0.1
    tries=$((tries + 1))
done
refused kill -0 $job 2>/dev/null
refused wait $job
test ! -e killed.gguf
train 1 --resume --run run --out resumed.gguf
cmp straight.gguf resumed.gguf

# Ranks with other options: nothing is trained, and both say what differs.
one() {
    echo "-n 1 $build/tinystories train --mpi --threads 1 --quiet --text text.txt --preset laptop-0.3m --steps 2 --slices 2 --context 64 --out differ.gguf --seed $1"
}
# shellcheck disable=SC2046
refused mpirun --oversubscribe $(one 1) : $(one 2) 2>differ.txt
test "$(grep -c "^tinystories: .*options.seed is 2, but 1 on rank 0" differ.txt)" = 2
test ! -e differ.gguf
refused train 3 --preset laptop-0.3m --steps 2 --slices 4 --out three.gguf 2>refused.txt
grep -q "power of two" refused.txt
