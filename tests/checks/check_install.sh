#!/bin/sh
# Installs into a folder of its own and builds a small program against it: by pkg-config (shared, static) and by find_package. usage: check_install.sh ROOT BUILD
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$2" --prefix "$work/prefix"
cat >"$work/program.c" <<'END'
#include <stdio.h>
#include <tinystories.h>

int main(void)
{
    ts_runtime *runtime;
    ts_tokenizer *tokenizer;
    if (ts_runtime_new(&runtime, NULL) != TS_OK || ts_tokenizer_open(&tokenizer, runtime, "/nonexistent") != TS_ERROR_IO)
        return 1;
    printf("%s: %s\n", ts_version(), ts_error_detail());
    ts_runtime_free(runtime);
    return ts_version_number() != TS_VERSION_NUMBER;
}
END
mkdir "$work/moved" && mv "$work/prefix" "$work/moved/there"
prefix=$work/moved/there
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name tinystories.pc)")
export PKG_CONFIG_PATH
libdir=$(dirname "$PKG_CONFIG_PATH")
# shellcheck disable=SC2046
gcc "$work/program.c" -o "$work/shared" $(pkg-config --cflags --libs tinystories) -Wl,-rpath,"$libdir"
"$work/shared"
# shellcheck disable=SC2046
gcc "$work/program.c" -o "$work/static" $(pkg-config --cflags tinystories) "$libdir/libtinystories.a" $(pkg-config --static --libs-only-l --libs-only-other tinystories | sed 's/-ltinystories//g')
"$work/static"
cat >"$work/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.20)
project(client C)
find_package(TinyStories 0.1 REQUIRED)
add_executable(found program.c)
target_link_libraries(found TinyStories::tinystories)
add_executable(found_static program.c)
target_link_libraries(found_static TinyStories::tinystories_static)
END
cmake -S "$work" -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
cmake --build "$work/build" >/dev/null
"$work/build/found"
"$work/build/found_static"
LD_LIBRARY_PATH=$libdir "$prefix/bin/tinystories" --version
