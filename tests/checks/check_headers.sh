#!/bin/sh
# Every public header compiles alone in four language versions, with warnings as errors, with gcc and clang. usage: check_headers.sh ROOT BUILD
set -eu
there() {
    command -v "$1" >/dev/null
}
for compiler in gcc g++ clang clang++; do
    there $compiler || echo "skipped: the headers by $compiler, which is not here"
done
for header in "$1"/include/tinystories.h "$1"/include/tinystories/*.h; do
    for compiler in gcc clang; do
        there $compiler || continue
        for standard in c99 c11; do
            $compiler -std=$standard -Wall -Wextra -Wpedantic -Wpadded -Werror -I"$1/include" -fsyntax-only -x c "$header"
        done
    done
    for compiler in g++ clang++; do
        there $compiler || continue
        for standard in c++11 c++17; do
            $compiler -std=$standard -Wall -Wextra -Wpedantic -Werror -I"$1/include" -fsyntax-only -x c++ "$header"
        done
    done
done
