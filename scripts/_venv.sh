# shellcheck shell=sh
# Sourced by the scripts beside it, which set $root. Standard output stays untouched: all that is said here goes to standard error.

# use_venv SET: return with $root/.venv complete for SET (run, test or dev), or exit with 2 and one sentence.
use_venv() {
    # shellcheck disable=SC2154
    # A venv knows its own path, and pyproject.toml names what is in it: when either changes, the stamp no longer matches.
    wanted="$root $(cksum <"$root/pyproject.toml")"
    stamp="$root/.venv/mcusim-$1.stamp"
    found=
    if [ -f "$stamp" ] && [ -x "$root/.venv/bin/python" ]; then IFS= read -r found <"$stamp" || :; fi
    [ "$found" = "$wanted" ] && return
    find_python
    "$python" -I "$root/scripts/_install.py" "$root" "$1" "$wanted" >&2 </dev/null || exit
}

# Set $python to the first Python that can make a virtual environment.
find_python() {
    lacks_venv=
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        command -v "$python" >/dev/null 2>&1 || continue
        "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue
        "$python" -I -c 'import ensurepip, venv' >/dev/null 2>&1 && return
        lacks_venv=${lacks_venv:-$python}
    done
    if [ -n "$lacks_venv" ]; then
        echo "mcusim: $lacks_venv cannot make virtual environments; install its venv module, e.g. \`apt install $lacks_venv-venv\`" >&2
    else
        echo "mcusim: no Python 3.11 or newer on the PATH; install one with its venv module, e.g. \`apt install python3 python3-venv\`" >&2
    fi
    exit 2
}
