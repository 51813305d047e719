#!/bin/sh
# The library exports what the headers declare (but for mpi.h, of a library of its own), ts_* alone, no name of other libraries; and calls nothing that could end or change the host.
# usage: check_exports.sh ROOT BUILD
set -eu
library=$2/libtinystories.so
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nm -D --defined-only "$library" | awk '$2 != "A" {print $3}' | sed 's/@.*//' | sort -u >"$work/exported"
find "$1/include/tinystories" -name "*.h" ! -name mpi.h -exec cat {} + | \
     tr '\n' ' ' | grep -oE 'TS_API [^;]*;' | grep -oE '\bts_[a-z0-9_]+ ?\(' | tr -d ' (' | sort -u >"$work/declared"
sed -n 's/^ *\(ts_[a-z0-9_]*\);$/\1/p' "$1/lib/tinystories.map" | sort -u >"$work/mapped"
diff "$work/declared" "$work/exported"
diff "$work/declared" "$work/mapped"
! grep -vE '^ts_' "$work/exported"
! grep -E '^ts_(parser|tree|node|query|language)_|^ts_(set_allocator|open|close|read|free)$' "$work/exported"
nm -D --undefined-only "$library" | awk '{print $NF}' | sed 's/@.*//' >"$work/wanted"
! grep -xE 'abort|exit|_exit|_Exit|printf|vprintf|puts|putchar|putc|fprintf|vfprintf|fputs|fputc|__printf_chk|__fprintf_chk|__vfprintf_chk|setlocale|signal|sigaction|rand|srand|random|getenv|setenv|putenv|unsetenv|system|popen|strtok|atoi|chdir|umask|__assert_fail' "$work/wanted"
