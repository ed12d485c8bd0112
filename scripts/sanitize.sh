#!/usr/bin/env bash
# Build the compiled codec with AddressSanitizer and UBSan, and run its tests and a short fuzz.
#
#   scripts/sanitize.sh [PYTEST-OPTIONS...]
#
# PYTHON      the interpreter; it needs Cython, setuptools and the test dependencies
# FUZZ_COUNT  mutated frames to try (default 30000)
#
# Needs gcc with its sanitizer libraries, which Debian's gcc brings. Any report of a sanitizer
# ends the process that made it, and with it this script.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
fuzz_count=${FUZZ_COUNT:-30000}

case $python in
*/*) python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python") ;;
esac

asan=$(gcc -print-file-name=libasan.so)
if [[ $asan != /* ]]; then
    echo "sanitize: gcc has no libasan.so here" >&2
    exit 2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/tests"
cp -r "$root/hopmq" "$root/setup.py" "$root/scripts" "$work"
cp -r "$root/tests/wire" "$work/tests"
find "$work/hopmq/_speedups" -name '*.so' -delete -o -name '*.c' -delete
cd "$work"

echo "== build"
sanitizers=(-fsanitize=address,undefined -fno-sanitize-recover=all)
env -u HOPMQ_NO_EXTENSIONS \
    CC=gcc \
    CFLAGS="-O1 -g -fno-omit-frame-pointer ${sanitizers[*]}" \
    LDFLAGS="${sanitizers[*]}" \
    "$python" setup.py -q build_ext --inplace >build.log 2>&1 || {
    cat build.log >&2
    exit 1
}
cp "$root/pyproject.toml" .

export PYTHONPATH=$work
export PYTHONMALLOC=malloc
export PYTHONDONTWRITEBYTECODE=1
export HOPMQ_REQUIRE_EXTENSIONS=1
unset HOPMQ_NO_EXTENSIONS
# Leaks are not looked for: the interpreter itself keeps much until its end.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

sanitized() {
    LD_PRELOAD=$asan "$python" "$@"
}

sanitized - <<'EOF'
import os
from pathlib import Path

from hopmq._speedups import codec

assert Path(codec.__file__).is_relative_to(os.environ["PYTHONPATH"]), codec.__file__
assert b"__asan_report_load1" in Path(codec.__file__).read_bytes(), "not built with a sanitizer"
EOF

echo "== tests"
# The pure codec has nothing to sanitize, and the memory of a sanitized process says nothing.
# What a sanitizer writes must not be captured with the output of the test that it ends.
sanitized -m pytest -q -p no:cacheprovider --capture=sys -k "not pure" \
    --ignore=tests/wire/test_memory.py "$@" tests/wire

echo "== fuzz"
sanitized scripts/fuzz_codec.py --count "$fuzz_count"

echo "== no report of a sanitizer"
