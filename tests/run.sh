#!/bin/sh
# Installs what is missing, builds, and runs every test: release, sanitizers, threads, the inference build, and the checks of interface and packaging.
# Real data is looked for in $TINYSTORIES_TEST_DATA; tests that need it say "skipped" without it. The last line counts everything.
set -u
cd "$(dirname "$0")/.." || exit 1
root=$(pwd)
build=${TINYSTORIES_BUILD:-$root/build}
passed=0 failed=0 skipped=0

missing=""
for pair in gcc:gcc cmake:cmake ninja:ninja-build pkg-config:pkg-config python3:python3 mpicc:libopenmpi-dev mpirun:openmpi-bin; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
for pair in openblas:libopenblas-dev zlib:zlib1g-dev libcjson:libcjson-dev cmocka:libcmocka-dev libcurl:libcurl4-openssl-dev; do
    pkg-config --exists "${pair%%:*}" 2>/dev/null || missing="$missing ${pair#*:}"
done
sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
if [ -n "$missing" ]; then
    echo "== installing$missing"
    # shellcheck disable=SC2086
    { $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq gcc g++ libc6-dev make $missing; } >/dev/null 2>&1 || {
        echo "cannot install$missing"
        echo "0 passed, 1 failed, 0 skipped"
        exit 1
    }
fi
# The second compiler: checks that want it say "skipped" where it cannot be had.
command -v clang >/dev/null 2>&1 || { $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq clang; } >/dev/null 2>&1 ||
    echo "clang cannot be installed"

# A language whose decimal point is a comma, made here unless the machine has it, so that the tests of locales have something to try. It is for these alone:
# the C library never frees what it notes of LOCPATH, which a leak sanitizer would tell of.
own_locales=""
if ! locale -a 2>/dev/null | grep -qi '^de_DE.utf'; then
    [ -e /usr/share/i18n/locales/de_DE ] || $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq locales >/dev/null 2>&1
    mkdir -p "$build/locales"
    localedef -i de_DE -f UTF-8 "$build/locales/de_DE.UTF-8" >/dev/null 2>&1 && own_locales=LOCPATH=$build/locales
fi

# one_check NAME COMMAND...: counts as one test; what it leaves out it tells in a line "skipped: ...", each of which counts too
one_check() {
    name=$1
    shift
    if "$@" >"$build/check.log" 2>&1; then
        passed=$((passed + 1))
        skipped=$((skipped + $(grep -c '^skipped: ' "$build/check.log")))
        echo "ok      $name"
        grep '^skipped: ' "$build/check.log"
    else
        failed=$((failed + 1))
        echo "FAILED  $name"
        tail -n 40 "$build/check.log"
    fi
}

# build_in FOLDER OPTIONS...
build_in() {
    folder=$1
    shift
    mkdir -p "$folder" && cmake -S "$root" -B "$folder" -G Ninja "$@" >"$folder/build.log" 2>&1 && cmake --build "$folder" >>"$folder/build.log" 2>&1 && return 0
    tail -n 40 "$folder/build.log"
    return 1
}

# run_tests FOLDER PATTERN [TESTS]: every CMocka program of the folder whose name matches; each of its tests, or of those whose name matches TESTS, counts
run_tests() {
    for program in "$1"/tests/test_*; do
        [ -x "$program" ] && [ -f "$program" ] || continue
        echo "$program" | grep -qE "$2" || continue
        name=$(basename "$1")/$(basename "$program")
        case $program in
        "$build"/tests/test_text | "$build"/tests/test_host) with=$own_locales ;;
        "$build"/threads/*) with=OPENBLAS_NUM_THREADS=1 ;; # the sanitizer does not see what its threads wait for
        *) with="" ;;
        esac
        # shellcheck disable=SC2086
        env $with timeout 600 "$program" ${3:-} >"$1/test.log" 2>&1
        status=$?
        p=$(grep -cE '^\[ +OK \]' "$1/test.log")
        s=$(grep -cE '^\[  SKIPPED \] test' "$1/test.log")
        f=$(grep -cE '^\[  FAILED  \] [a-z]' "$1/test.log")
        ran=$(sed -n 's/^\[==========\].* Running \([0-9]*\) test.*/\1/p' "$1/test.log" | head -n 1)
        : "${ran:=0}"
        [ $status -eq 0 ] || [ "$f" -gt 0 ] || f=1
        [ "$ran" -gt 0 ] || f=$((f + 1))
        s=$((ran - p > 0 && status == 0 ? ran - p : 0))
        if [ $status -eq 0 ] && [ "$f" -eq 0 ]; then
            echo "ok      $name: $p passed, $s skipped"
        else
            f=$(((f + 1) / 2 > 0 ? (f + 1) / 2 : 1))
            echo "FAILED  $name (status $status)"
            tail -n 40 "$1/test.log"
        fi
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    done
}

mkdir -p "$build"
echo "== release"
one_check "release build" build_in "$build" -DCMAKE_BUILD_TYPE=Release -DTINYSTORIES_TESTS=ON
run_tests "$build" .

echo "== checks"
for check in tests/checks/check_*; do
    one_check "$(basename "$check")" "$check" "$root" "$build"
done

# run_python FOLDER: every unittest of the folder counts
run_python() {
    TINYSTORIES_LIBRARY=$build/libtinystories.so TINYSTORIES_CLI=$build/tinystories PYTHONPATH=$root/bindings/python PYTHONDONTWRITEBYTECODE=1 \
        timeout 600 python3 -m unittest discover -s "$1" >"$build/python.log" 2>&1
    status=$?
    ran=$(sed -n 's/^Ran \([0-9]*\) tests\{0,1\} .*/\1/p' "$build/python.log" | tail -n 1)
    bad=$(tail -n 1 "$build/python.log" | grep -oE '(failures|errors)=[0-9]+' | cut -d= -f2 | paste -sd+ - | sed 's/^$/0/')
    bad=$((${bad:-0}))
    s=$(tail -n 1 "$build/python.log" | grep -oE 'skipped=[0-9]+' | cut -d= -f2)
    { [ $status -eq 0 ] && [ "${ran:-0}" -gt 0 ]; } || [ $bad -gt 0 ] || bad=1
    if [ $bad -eq 0 ]; then
        echo "ok      $1: $ran run, ${s:-0} skipped"
    else
        echo "FAILED  $1"
        tail -n 60 "$build/python.log"
    fi
    passed=$((passed + ${ran:-0} - bad - ${s:-0})) failed=$((failed + bad)) skipped=$((skipped + ${s:-0}))
}

echo "== command line and python"
run_python tests/cli
run_python tests/python

echo "== address and undefined behaviour sanitizers"
one_check "sanitizer build" build_in "$build/sanitized" -DCMAKE_BUILD_TYPE=Release -DTINYSTORIES_SANITIZE=address,undefined -DTINYSTORIES_PROGRAMS=OFF \
    -DTINYSTORIES_TESTS=ON
run_tests "$build/sanitized" .

echo "== thread sanitizer"
one_check "thread sanitizer build" build_in "$build/threads" -DCMAKE_BUILD_TYPE=Release -DTINYSTORIES_SANITIZE=thread -DTINYSTORIES_PROGRAMS=OFF \
    -DTINYSTORIES_TESTS=ON
run_tests "$build/threads" 'test_(threads|kernels|gradients|sampler|constraints|session|beam|batch|bpe_encode|bpe_train|tokenizer|model|score|trainer|muon|communicator|telling|clean|taps|heads|neurons|novelty)$'
run_tests "$build/threads" 'test_generator$' 'same_bytes_by_any_threads' # the others have one thread

echo "== training over several ranks"
if command -v mpicc >/dev/null 2>&1 && command -v mpirun >/dev/null 2>&1; then
    one_check "MPI ranks" sh "$root/tests/mpi/check_ranks.sh" "$root" "$build"
else
    skipped=$((skipped + 1))
    echo "skipped MPI ranks: no MPI here"
fi

echo "== inference build: libc and libm alone"
one_check "inference build" build_in "$build/inference" -DCMAKE_BUILD_TYPE=Release -DTINYSTORIES_TRAINER=OFF -DTINYSTORIES_CHAT=OFF -DTINYSTORIES_TESTS=ON
one_check "inference build exports what every build does" tests/checks/check_exports.sh "$root" "$build/inference"
one_check "inference build needs libc and libm alone" sh -c "! ldd '$build/inference/libtinystories.so' | grep -vE 'libc\.so|libm\.so|ld-linux|linux-vdso'"
one_check "inference build has 300,000 bytes at most" sh -c "strip -o '$build/inference/stripped.so' '$build/inference/libtinystories.so' && [ \$(wc -c <'$build/inference/stripped.so') -le 300000 ]"
run_tests "$build/inference" 'test_(sampler|constraints|required|session|beam|host|distribution|model|score|gguf|gguf_model|gguf_types|llama2c_model|sentencepiece|blocks|base|threads|text|unpack)$'

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
