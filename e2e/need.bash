# Sourced by ./demo and ./test: installs what a bare machine lacks.

# need COMMAND:PACKAGE... - makes sure that every COMMAND is there, with one call of apt-get for all
# that are missing; the package lists are fetched only when they turn out to be too old or absent.
need() {
    local pair missing=() sudo=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    if [ "${#missing[@]}" -eq 0 ]; then
        return 0
    fi
    echo "installing with apt: ${missing[*]}" >&2
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "missing, and neither root nor sudo to install it: ${missing[*]}" >&2
            return 1
        }
        sudo=(sudo)
    fi
    local install=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive
        apt-get install -y -qq --no-install-recommends "${missing[@]}")
    "${install[@]}" </dev/null >/dev/null 2>&1 && return 0
    "${sudo[@]}" apt-get update -qq </dev/null
    "${install[@]}" </dev/null >/dev/null
}

# The toolchain itself is not ours to install.
need_cargo() {
    command -v cargo >/dev/null && return 0
    echo "cargo is missing: install the stable Rust toolchain first" >&2
    return 1
}
