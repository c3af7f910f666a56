# Sourced by ./demo and ./test: installs what a bare machine lacks.

# need COMMAND:PACKAGE... - makes sure that every COMMAND is there, with one call of apt-get for all
# that are missing.
need() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    [ "${#missing[@]}" -eq 0 ] || install "${missing[@]}"
}

# install PACKAGE... - with apt; the package lists are fetched only when they turn out to be too old
# or absent.
install() {
    local sudo=()
    echo "installing with apt: $*" >&2
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "missing, and neither root nor sudo to install it: $*" >&2
            return 1
        }
        sudo=(sudo)
    fi
    local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive
        apt-get install -y -qq --no-install-recommends "$@")
    "${apt[@]}" </dev/null >/dev/null 2>&1 && return 0
    "${sudo[@]}" apt-get update -qq </dev/null
    "${apt[@]}" </dev/null >/dev/null
}

# need_python REQUIREMENTS - a virtual environment in .venv with these packages, made again only
# when the list has changed.
need_python() {
    local list=$1
    cmp -s "$list" .venv/requirements.txt && return 0
    need python3:python3 || return 1
    python3 -c 'import ensurepip, venv' 2>/dev/null || install python3-venv || return 1
    echo "installing Python packages into .venv" >&2
    rm -rf .venv
    python3 -m venv .venv &&
        .venv/bin/pip install --quiet --disable-pip-version-check -r "$list" &&
        cp "$list" .venv/requirements.txt
}

# The toolchain itself is not ours to install.
need_cargo() {
    command -v cargo >/dev/null && return 0
    echo "cargo is missing: install the stable Rust toolchain first" >&2
    return 1
}
