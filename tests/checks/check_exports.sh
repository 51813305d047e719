#!/bin/sh
# The library exports what the headers declare (but for mpi.h, of a library of its own), ts_* alone, no name of other libraries; and calls nothing that could end or change the host.
# usage: check_exports.sh ROOT BUILD
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
banned='abort|exit|_exit|_Exit|quick_exit|at_quick_exit|raise|kill|__assert_fail|signal|sigaction|sigprocmask|setlocale|uselocale'
banned="$banned|stdin|stdout|stderr|printf|vprintf|dprintf|vdprintf|puts|putchar|putc|fprintf|vfprintf|fputs|fputc|perror|psignal|warn|warnx|err|errx|error"
banned="$banned|__printf_chk|__vprintf_chk|__fprintf_chk|__vfprintf_chk|__dprintf_chk|__vdprintf_chk"
banned="$banned|rand|srand|random|srandom|rand_r|drand48|lrand48|mrand48|srand48|getenv|secure_getenv|setenv|putenv|unsetenv|clearenv"
banned="$banned|system|popen|fork|execve|strtok|atoi|chdir|fchdir|umask"
# Belongs to tree-sitter and tslib, which a host may link too.
taken='ts_(parser|tree|node|query|language)_.*|ts_(set_allocator|open|close|read|free)'

# refuse WHY FILE GREP-OPTIONS...: no line of the file may match
refuse() {
    why=$1 file=$2
    shift 2
    if grep "$@" "$file"; then
        echo "$why"
        return 1
    fi
}

exported() {
    nm -D --defined-only "$1" | awk '$2 != "A" {print $3}' | sed 's/@.*//' | sort -u >"$work/exported"
}

# judge LIBRARY: what holds for any of ours
judge() {
    exported "$1"
    nm -D --undefined-only "$1" | awk '{print $NF}' | sed 's/@.*//' >"$work/wanted"
    refuse "exported, but not ts_*" "$work/exported" -vE '^ts_' || return 1
    refuse "exported, but a name of other libraries" "$work/exported" -xE "$taken" || return 1
    refuse "called, but it could end or change the host" "$work/wanted" -xE "$banned" || return 1
}

# A rule that cannot fail is none: a library that breaks it must be refused, and one that keeps all of them must not.
try() {
    printf '#include <stdio.h>\n#include <stdlib.h>\n%s\n' "$1" >"$work/try.c"
    gcc -shared -fPIC -w -o "$work/try.so" "$work/try.c"
    if judge "$work/try.so" >/dev/null; then verdict=kept; else verdict=broken; fi
    if [ "$verdict" != "$2" ]; then
        echo "the rules are $verdict by: $1"
        exit 1
    fi
}
try 'int ts_fine(void) { char t[9]; return snprintf(t, sizeof t, "%d", 1); }' kept
try 'int stray(void) { return 0; }' broken
try 'int ts_parser_new(void) { return 0; }' broken
try 'int ts_open(void) { return 0; }' broken
try 'void ts_end(void) { exit(1); }' broken
try 'void ts_say(void) { perror("it"); }' broken
try 'void ts_tell(void) { fputs("it", stdout); }' broken
try 'long ts_draw(void) { return random(); }' broken

judge "$2/libtinystories.so"
find "$1/include/tinystories" -name "*.h" ! -name mpi.h -exec cat {} + | \
     tr '\n' ' ' | grep -oE 'TS_API [^;]*;' | grep -oE '\bts_[a-z0-9_]+ ?\(' | tr -d ' (' | sort -u >"$work/declared"
sed -n 's/^ *\(ts_[a-z0-9_]*\);$/\1/p' "$1/lib/tinystories.map" | sort -u >"$work/mapped"
diff "$work/declared" "$work/exported"
diff "$work/declared" "$work/mapped"
