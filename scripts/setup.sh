#!/usr/bin/env bash
# Makes this checkout ready: .venv with exactly the packages of uv.lock and the `ofs` command, .jars with exactly the
# JVM libraries of jars/sha256.txt, compiled loops in the user's cache, and the classes of Spark's JVM as its start needs
# them. Needs Python 3.11 or newer and Java 17; asks for nothing; safe to run again, and quick when all is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
unset VIRTUAL_ENV UV_PROJECT_ENVIRONMENT # an activated environment of another project must not be filled by mistake
export UV_PYTHON_DOWNLOADS=never         # the Python that is here is the one that is used
export UV_HTTP_TIMEOUT=180               # pyspark is 450 MB in one file
uv_version=0.13.9                        # the version that wrote uv.lock
uv=.tools/uv-$uv_version/bin/uv

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.11 python3.12 python3.13; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    echo "Python 3.11 or newer is needed and none was found (set PYTHON to its path)" >&2
    return 80
}

if ! "$uv" --version >/dev/null 2>&1; then
    python=$(find_python)
    echo "setup: installing uv $uv_version into .tools/"
    "$python" -m venv --clear ".tools/uv-$uv_version"
    ".tools/uv-$uv_version/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
fi
if ! .venv/bin/python -c '' 2>/dev/null; then
    python=$(find_python)
    echo "setup: creating .venv from uv.lock (about 700 MB to download where nothing is cached)"
    "$uv" venv --quiet --clear --python "$python" .venv
fi
"$uv" sync --quiet --frozen --python .venv/bin/python # --frozen: the lock is the law, a changed pyproject.toml needs `make lock`
.venv/bin/python scripts/fetch_jars.py
.venv/bin/python scripts/compile_loops.py
.venv/bin/python scripts/archive_classes.py
echo "setup: ready"
